"""Which values of a parameter the quick suite tries; ``make test-slow`` tries the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def few(values: Iterable[Any], quick: int = 2) -> list[Any]:
    """All values, those after the first ``quick`` marked as slow."""
    return [
        value
        if place < quick
        else pytest.param(
            *(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow
        )
        for place, value in enumerate(values)
    ]
