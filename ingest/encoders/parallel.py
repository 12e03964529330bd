"""All cores on short operations: a thread for each core, and in it torch on that core alone.

A batch is a long row of operations of some 0.1 ms. Splitting each over the cores costs more in
waiting than it gains, and stalls when another process wants a core; whole batches do not wait.
A batch's result does not depend on the number of threads, because one thread computes all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

_SETTINGS = threading.Lock()


def _set_up_thread() -> None:
    torch.set_num_threads(1)
    # Closed gates are numbers below 1e-38, on which a processor's arithmetic is five times slower.
    # As zeros they change nothing, in sums that hold an epsilon of 1e-6. The setting is a thread's.
    torch.set_flush_denormal(True)


@contextmanager
def all_cores(*, bfloat16_products: bool = False) -> Iterator[ThreadPoolExecutor]:
    """A pool of as many threads as torch would use.

    The number of threads and the precision of products belong to the process: they are set back
    afterwards, also after an error, and no two pools are open at once. Work that has not begun
    when the block is left by an error or Ctrl-C is dropped.

    Parameters
    ----------
    bfloat16_products : bool
        Multiply float32 matrices in bfloat16 on the CPU, with sums and results in float32.
    """
    matmul: Any = getattr(torch.backends.mkldnn, "matmul")  # noqa: B009 - untyped in torch
    with _SETTINGS:
        threads, precision = torch.get_num_threads(), matmul.fp32_precision
        pool = ThreadPoolExecutor(threads, initializer=_set_up_thread)
        try:
            if bfloat16_products:
                matmul.fp32_precision = "bf16"
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
            matmul.fp32_precision = precision
            torch.set_num_threads(threads)


def has_bfloat16_products() -> bool:
    """Whether this machine's CPU multiplies in bfloat16."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
