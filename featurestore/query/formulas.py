"""Formulas and chemical systems as the store writes them, as functions that SQL has.

Of a few lines of Python and a cache: as lambdas of SQL they took 8 ms to bind in every query that
names the table of materials.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import duckdb

_Amounts: TypeAlias = Sequence[tuple[str, int]]

# Pauling's scale, as pymatgen has it; elements without a value come last.
_ELECTRONEGATIVITY = {
    **{"Fr": 0.7, "Cs": 0.79, "K": 0.82, "Rb": 0.82, "Ba": 0.89, "Ra": 0.9, "Na": 0.93},
    **{"Sr": 0.95, "Li": 0.98, "Ca": 1, "Ac": 1.1, "La": 1.1, "Tb": 1.1, "Yb": 1.1, "Ce": 1.12},
    **{"Pm": 1.13, "Pr": 1.13, "Nd": 1.14, "Sm": 1.17, "Eu": 1.2, "Gd": 1.2, "Dy": 1.22},
    **{"Y": 1.22, "Ho": 1.23, "Er": 1.24, "Tm": 1.25, "Lu": 1.27, "Pu": 1.28, "Am": 1.3},
    **{"Bk": 1.3, "Cf": 1.3, "Cm": 1.3, "Es": 1.3, "Fm": 1.3, "Hf": 1.3, "Lr": 1.3, "Md": 1.3},
    **{"No": 1.3, "Th": 1.3, "Mg": 1.31, "Zr": 1.33, "Np": 1.36, "Sc": 1.36, "U": 1.38},
    **{"Pa": 1.5, "Ta": 1.5, "Ti": 1.54, "Mn": 1.55, "Be": 1.57, "Nb": 1.6, "Al": 1.61},
    **{"Tl": 1.62, "V": 1.63, "Zn": 1.65, "Cr": 1.66, "Cd": 1.69, "In": 1.78, "Ga": 1.81},
    **{"Fe": 1.83, "Co": 1.88, "Cu": 1.9, "Re": 1.9, "Si": 1.9, "Tc": 1.9, "Ni": 1.91},
    **{"Ag": 1.93, "Sn": 1.96, "Hg": 2, "Po": 2, "Ge": 2.01, "Bi": 2.02, "B": 2.04, "Sb": 2.05},
    **{"Te": 2.1, "Mo": 2.16, "As": 2.18, "P": 2.19, "At": 2.2, "H": 2.2, "Ir": 2.2, "Os": 2.2},
    **{"Pd": 2.2, "Rn": 2.2, "Ru": 2.2, "Pt": 2.28, "Rh": 2.28, "Pb": 2.33, "W": 2.36},
    **{"Au": 2.54, "C": 2.55, "Se": 2.55, "S": 2.58, "Xe": 2.6, "I": 2.66, "Br": 2.96, "Kr": 3},
    **{"N": 3.04, "Cl": 3.16, "O": 3.44, "F": 3.98},
}
_POLAR = 1.65  # two elements closer than this may share brackets

# Amounts of up to 18 digits: Python reads no number of thousands of them, and none is meant.
_TOKEN = re.compile(r"([A-Z][a-z]?)([0-9]*)")
_PART = re.compile(r"\(([^()]*)\)([0-9]*)|([A-Z][a-z]?[0-9]*)")
_STORED = re.compile(r"([A-Z][a-z]?[0-9]{0,18})+")
_TYPED = re.compile(r"([A-Z][a-z]?[0-9]{0,18}|\(([A-Z][a-z]?[0-9]{0,18})+\)[0-9]{0,18})+")
_ELEMENTS = re.compile(r"([A-Z][a-z]?|[0-9(), -])+")
# Gases of two atoms and peroxides keep their molecules.
_MOLECULE = re.compile(r"O|N|F|Cl|H")
_PEROXIDE = re.compile(r"(Li|Na|K|Rb|Cs|H)O")


@lru_cache(maxsize=1 << 16)
def formula_of_stored(stored: str) -> str:
    """A reduced formula, each element once, as pymatgen writes it: 'Fe3O4' of 'Fe3O4' or 'O4Fe3'.

    What is no such formula is given back.
    """
    if not _STORED.fullmatch(stored):
        return stored
    return _written([(symbol, int(n or 1)) for symbol, n in _TOKEN.findall(stored)])


@lru_cache(maxsize=1 << 10)
def typed_formula(text: str) -> str:
    """As `formula_of_stored`, of any formula of whole numbers; empty for other text."""
    packed = text.replace(" ", "")
    if not _TYPED.fullmatch(packed):
        return ""
    amounts: Counter[str] = Counter()
    for inside, times, alone in _PART.findall(packed):
        for symbol, n in _TOKEN.findall(inside or alone):
            amounts[symbol] += int(n or 1) * int(times or 1)
    divisor = math.gcd(*amounts.values())
    if not all(amounts.values()):
        return ""
    return _written([(symbol, n // divisor) for symbol, n in amounts.items()])


@lru_cache(maxsize=1 << 10)
def typed_chemsys(text: str) -> str:
    """The elements a formula or a list names, in the alphabet's order; empty for other text."""
    if not _ELEMENTS.fullmatch(text):
        return ""
    return "-".join(sorted({symbol for symbol, _ in _TOKEN.findall(text)}))


def _written(amounts: _Amounts) -> str:
    places = {symbol: _ELECTRONEGATIVITY.get(symbol, math.inf) for symbol, _ in amounts}
    ordered = sorted((places[symbol], symbol, n) for symbol, n in amounts)
    written, last = [(symbol, n) for _, symbol, n in ordered], ""
    if len(ordered) > 2 and ordered[-1][0] - ordered[-2][0] < _POLAR:
        shared = math.gcd(written[-1][1], written[-2][1])
        if shared > 1:
            last = f"({_joined([(symbol, n // shared) for symbol, n in written[-2:]])}){shared}"
            written = written[:-2]
    formula = _joined(written) + last
    if _MOLECULE.fullmatch(formula):
        return f"{formula}2"
    return f"{formula[:-1]}2O2" if _PEROXIDE.fullmatch(formula) else formula


def _joined(amounts: _Amounts) -> str:
    return "".join(f"{symbol}{'' if n == 1 else n}" for symbol, n in amounts)


def add_formulas(database: duckdb.DuckDBPyConnection) -> None:
    """Let the connections of a database call the functions of this module."""
    for function in (formula_of_stored, typed_formula, typed_chemsys):
        database.create_function(function.__name__, function, ["VARCHAR"], "VARCHAR")
