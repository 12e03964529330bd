"""Small trainings have one thread, whatever is set, and what was set comes back."""

from __future__ import annotations

import pytest
import torch
from threadpoolctl import threadpool_info

from train.threads import FEW_ROWS, threads_for


def threads() -> set[int]:
    return {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())}


def test_few_rows_have_one_thread(two_threads: None) -> None:
    before = threads()
    assert before == {2}
    with threads_for(FEW_ROWS):
        assert threads() == {1}
    assert threads() == before
    with pytest.raises(KeyError), threads_for(1):
        raise KeyError
    assert threads() == before
    with threads_for(FEW_ROWS + 1):
        assert threads() == before
