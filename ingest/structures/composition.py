"""Reduced formula and composition prototype of a list of species."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def reduced_formula(species: Sequence[str]) -> str:
    """Element symbols in alphabetical order with their smallest whole amounts, as ``Se2V``."""
    amounts = _reduced(species)
    return "".join(f"{symbol}{_shown(amounts[symbol])}" for symbol in sorted(amounts))


def composition_prototype(species: Sequence[str]) -> str:
    """Amounts in ascending order with letters for elements, as ``AB2`` for VSe2."""
    amounts = sorted(_reduced(species).values())
    return "".join(f"{_letter(index)}{_shown(amount)}" for index, amount in enumerate(amounts))


def _reduced(species: Sequence[str]) -> dict[str, int]:
    counts = Counter(species)
    divisor = math.gcd(*counts.values())
    return {symbol: count // divisor for symbol, count in counts.items()}


def _shown(amount: int) -> str:
    return "" if amount == 1 else str(amount)


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else _letter(index // 26 - 1) + _letter(index % 26)
