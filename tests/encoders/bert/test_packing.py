"""Packing: every text once, within the budget, with little padding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.encoders.bert.packing import pack_by_length


@given(st.lists(st.integers(2, 512)), st.integers(1, 4096))
def test_every_text_is_in_one_batch_within_the_budget(lengths, budget):
    batches = pack_by_length(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = max(lengths[index] for index in batch) * len(batch)
        assert padded <= budget or len(batch) == 1


def test_like_lengths_share_a_batch():
    lengths = [100, 10, 99, 11, 98, 12]
    assert pack_by_length(lengths, 300) == [[0, 2, 4], [5, 3, 1]]
