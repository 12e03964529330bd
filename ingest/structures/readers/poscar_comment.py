"""The species of a POSCAR that has no line of them (VASP 4), as far as its comment tells them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.structures.elements import ELEMENTS
from ingest.structures.stated import parse_formula

# What POTCARs append to a symbol: Fe_pv, Ga_d_GW, and hashes: Fe/abc123.
POTENTIAL = re.compile(r"([A-Z][a-z]?)(?:[_/.].*)?$")
# Words and letters of comments that are symbols or formulas too.
_ALSO_WORDS = (
    "I In As At No He Be Am Os Pa Po Re Ho La B C F H K N O P S U V W Y "
    "NO ON IN IS OK UP US SC BCC FCC HCP PBC CIF"
)
_WORDS = frozenset(_ALSO_WORDS.split())


def of_comment(comment: str, counts: Sequence[int]) -> list[str] | None:
    """The symbols in a comment that fit the counts: a list of symbols, or one formula.

    None if there are none, or several readings.
    """
    fields = re.split(r"[\s,;:]+", comment.strip())
    readings = {
        tuple(symbols)
        for symbols in [
            _listed(fields, len(counts)),
            *(
                _formula(field, counts)
                for field in fields
                if len(fields) == 1 or field not in _WORDS
            ),
        ]
        if symbols is not None
    }
    spelt = _spelt(fields, counts)
    if spelt is not None:
        readings.add(tuple(spelt))
    # "CS CL" are caesium and chlorine in capitals as well as CS and a word
    capitals = _listed([field.capitalize() for field in fields if field.isupper()], len(counts))
    if capitals is not None and readings:
        readings.add(tuple(capitals))
    return list(readings.pop()) if len(readings) == 1 else None


def _listed(fields: Sequence[str], number: int) -> list[str] | None:
    """The comment's first words if they are as many symbols, and no more."""
    symbols = []
    for field in fields:
        match = POTENTIAL.match(field)
        if match is None or match[1] not in ELEMENTS:
            break
        symbols.append(match[1])
    if len(symbols) != number or (len(fields) > number and _WORDS.issuperset(symbols)):
        return None
    return symbols


def _formula(field: str, counts: Sequence[int]) -> list[str] | None:
    """The elements of a word such as ``Al2O3`` if its amounts are those of the counts."""
    amounts = parse_formula(field)
    if not amounts or len(amounts) != len(counts):
        return None
    return _fitting(amounts, counts)


def _spelt(fields: Sequence[str], counts: Sequence[int]) -> list[str] | None:
    """The elements of the comment's first words such as ``Al2 O3``, with one amount at least."""
    amounts: dict[str, float] = {}
    for field in fields:
        one = parse_formula(field)
        if not one or len(one) != 1 or amounts.keys() & one.keys():
            break
        amounts |= one
    counted = any(field[-1].isdigit() for field in fields[: len(amounts)])
    if len(amounts) < 2 or len(amounts) != len(counts) or not counted:
        return None
    return _fitting(amounts, counts)


def _fitting(amounts: dict[str, float], counts: Sequence[int]) -> list[str] | None:
    ratios = [count / amount for count, amount in zip(counts, amounts.values(), strict=True)]
    return list(amounts) if max(ratios) - min(ratios) < 1e-6 else None
