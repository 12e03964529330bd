"""Packing of texts into batches: like lengths together, under a limit on tokens with padding."""

from __future__ import annotations

from collections.abc import Sequence


def pack_by_length(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of ``lengths`` in batches of similar length, longest first.

    The longest of a batch times their number stays within ``token_budget``; one that exceeds it
    alone is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        # Sorted downwards, so the first of a batch is its longest.
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= token_budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
