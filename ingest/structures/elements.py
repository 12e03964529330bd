"""What a file may write for an element: symbols with charges, isotopes, labels of sites."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se
Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb
Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm
Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
BY_NUMBER = tuple(_SYMBOLS.split())
ELEMENTS = frozenset(BY_NUMBER)
ISOTOPES = {"D": "H", "T": "H"}

# A symbol, then nothing or a charge: Fe3+, O2-, Na1+, Cl-1, Fe+3, Fe0+, O-.
_TYPE_SYMBOL = re.compile(r"([A-Za-z]{1,2})(?:\d*\.?\d*[+-]|[+-]\d*\.?\d*|0)?$")
_LETTERS = re.compile(r"[A-Za-z]+")


@cache
def covalent_radius(symbol: str) -> float:
    """The covalent radius of an element, Å, by Cordero et al., Dalton Trans. 2008, 2832."""
    import gemmi

    return float(gemmi.Element(symbol).covalent_r)


@cache
def atomic_mass(symbol: str) -> float:
    """The standard atomic weight of an element, u."""
    import gemmi

    return float(gemmi.Element(symbol).weight)


def of_type_symbol(written: str) -> str | None:
    """The element of a type symbol (``Fe3+``, ``O2-``, ``D``, ``CL``), or None if it is none.

    Deuterium and tritium stay ``D`` and ``T``: the caller says what becomes of them.
    """
    match = _TYPE_SYMBOL.match(written.strip())
    if match is None:
        return None
    symbol = match[1].capitalize()
    return symbol if symbol in ELEMENTS or symbol in ISOTOPES else None


def of_label(label: str, stated: Collection[str]) -> tuple[str, bool] | None:
    """The element that a site label without a type symbol names, and whether it is a guess.

    A label is by the CIF dictionary a symbol and whatever else, ``Na1`` or ``O2A``. One whose
    letters are no symbol (``OH``, ``HOh1``, ``CL1``) is understood only where the file's own
    formula leaves one reading.

    Parameters
    ----------
    label : str
        As ``Na1``.
    stated : collection of str
        The elements of the formula that the file states; empty if it states none.

    Returns
    -------
    tuple of str and bool, or None
        None if the label cannot be understood.
    """
    match = _LETTERS.match(label)
    if match is None:
        return None
    letters = match[0]
    # T1 and T2 are the tetrahedral sites of a framework more often than tritium
    sure = letters in ELEMENTS or letters == "D"
    if sure and (not stated or ISOTOPES.get(letters, letters) in stated or letters in stated):
        return letters, False
    fitting = {
        symbol
        for symbol in (letters[:2].capitalize(), letters[0].upper())
        if symbol in ELEMENTS and symbol in stated
    }
    if len(fitting) != 1:
        return None
    (symbol,) = fitting
    return symbol, True
