"""What a file says about its own cell (formula, Z), compared with the atoms it lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.structures.elements import ELEMENTS, ISOTOPES

# Relative: a formula is written with three digits or so.
FORMULA_TOLERANCE = 0.002

_GROUP = re.compile(r"[(\[]([^()\[\]]*[A-Za-z][^()\[\]]*)[)\]]\s*(\d*\.?\d*)")
_TERM = re.compile(r"([A-Z][a-z]?)\s*(\d*\.?\d*)(?:\(\d+\))?\s*")


@dataclass(frozen=True)
class Verdict:
    """How the atoms in a cell compare with what the file says of them.

    Parameters
    ----------
    formula : str
        What differs, in words; empty if nothing does, or nothing is stated.
    units : str
        The same of the number of formula units.
    confirmed : bool
        Whether formula and Z are both stated and right.
    """

    formula: str
    units: str
    confirmed: bool


def parse_formula(text: str | None) -> dict[str, float] | None:
    """The amounts of ``'H2 Mg1 O2'`` or ``'Mg(OH)2'``; deuterium counts as hydrogen.

    None if there is none or it cannot be understood: half of a formula would be another one.
    """
    text = (text or "").strip()
    if not text:
        return None
    group = _GROUP.search(text)
    if group is not None:
        inner, rest = parse_formula(group[1]), text[: group.start()] + text[group.end() :]
        outer = parse_formula(rest) if rest.strip() else {}
        if inner is None or outer is None:
            return None
        times = float(group[2] or 1) if group[2] != "." else 0.0
        whole = Counter(outer)
        for symbol, amount in inner.items():
            whole[symbol] += times * amount  # type: ignore[assignment]
        return dict(whole) if times else None
    amounts: Counter[str] = Counter()
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            return None
        symbol = ISOTOPES.get(match[1], match[1])
        try:
            amount = float(match[2] or 1)
        except ValueError:
            return None
        if symbol not in ELEMENTS or not amount > 0:
            return None
        amounts[symbol] += amount  # type: ignore[assignment]
        position = match.end()
    return dict(amounts)


def compare(species: Sequence[str], formula: Mapping[str, float] | None, z: int | None) -> Verdict:
    """Compare the atoms of a cell with the formula and the number of formula units stated."""
    if not formula:
        return Verdict("", "", False)
    counts = Counter(species)
    units = _units(counts, formula, z)
    apart = {
        symbol: counts[symbol] / units - formula.get(symbol, 0.0)
        for symbol in sorted(counts.keys() | formula.keys())
    }
    wrong = {
        symbol: difference
        for symbol, difference in apart.items()
        if abs(difference) > FORMULA_TOLERANCE * max(1.0, formula.get(symbol, 0.0))
    }
    if wrong:
        listed = ", ".join(f"{symbol} {difference:+.4g}" for symbol, difference in wrong.items())
        return Verdict(
            f"the file's formula is {shown(formula)}, its sites differ by {listed} in a formula "
            "unit",
            "",
            False,
        )
    if z is not None and abs(units - z) > FORMULA_TOLERANCE * z:
        return Verdict(
            "", f"the file says Z = {z}, its sites make {units:.4g} formula units a cell", False
        )
    return Verdict("", "", z is not None)


def shown(formula: Mapping[str, float]) -> str:
    """As ``'H2 Mg O2'``."""
    return " ".join(
        symbol if amount == 1 else f"{symbol}{amount:g}"
        for symbol, amount in sorted(formula.items())
    )


def _units(counts: Counter[str], formula: Mapping[str, float], z: int | None) -> float:
    """The number of formula units that most elements agree on; the stated one where it is one."""
    ratios = [counts[symbol] / amount for symbol, amount in formula.items() if counts[symbol]]
    if not ratios:
        return float(z or 1)
    if z is not None and any(abs(ratio - z) <= FORMULA_TOLERANCE * z for ratio in ratios):
        return float(z)
    # The one that most others are near to; of equals the largest, as atoms are more often
    # missing than too many.
    return max(
        ratios, key=lambda one: (sum(abs(one - other) <= 0.01 * one for other in ratios), one)
    )
