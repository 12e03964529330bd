"""Elements, numbers and a few words of a description, read by regular expressions.

A text model that predicts no better than trees on these has understood nothing of the text. Numbers
are known by what stands around them, in ChemNLP's wording and in Robocrystallographer's; one that
the text does not state is -1, a list of none has the count 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ingest.structures.elements import BY_NUMBER

VERSION = 2
ABSENT = -1.0

_PLACE = {symbol: place for place, symbol in enumerate(BY_NUMBER)}

_NUMBER = r"(\d+(?:\.\d+)?)"
#: Numbers that a phrase announces, each with how many follow, separated by commas or "and".
_PHRASES: tuple[tuple[str, str, int], ...] = (
    ("molecular weight", r"molecular weight is", 1),
    ("density", r"density of", 1),
    ("space group number", r"space group number is", 1),
    ("lattice parameter", r"lattice parameters are", 3),
    ("lattice angle", r"with angles", 3),
    ("atoms in cells", r"conventional cells are", 2),
    ("XRD peak", r"XRD peaks are found at", 5),
)
#: Lists of numbers, of which count, least, mean, largest and spread are told: name, where they
#: stand (the first group; None: anywhere in the text), and a number of the list.
_LISTS: tuple[tuple[str, str | None, str], ...] = (
    ("length", None, rf"(?<![\w.]){_NUMBER}(?=(?: ?[–-] ?\d+\.\d+)? ?Å)"),
    ("ChemNLP bond", r"bond distances are as follows:(.*)", r"(?<![\w.])(\d+(?:\.\d+)?)(?!\w)"),
    ("electronegativity", r"atomic values X and Z are ([\d., ]+) and", _NUMBER),
    ("atomic number", r"atomic values X and Z are [\d., ]+ and ([\d, ]+)", _NUMBER),
    ("fraction", r"atomic fractions are \{([^}]*)\}", _NUMBER),
    ("angle", None, rf"(?<![\w.]){_NUMBER}(?=°| degrees)"),
    ("decimal", None, r"(?<![\w.])(\d+\.\d+)(?!\w)"),
)
_OF_A_LIST: tuple[tuple[str, Callable[[npt.NDArray[np.float64]], float]], ...] = (
    ("count", len),
    ("least", lambda found: float(found.min())),
    ("mean", lambda found: float(found.mean())),
    ("largest", lambda found: float(found.max())),
    ("spread", lambda found: float(found.std())),
)
#: Words of which it is told how often they occur.
WORDS = (
    *("cubic", "hexagonal", "trigonal", "rhombohedral", "tetragonal", "orthorhombic"),
    *("monoclinic", "triclinic", "zero-dimensional", "one-dimensional", "two-dimensional"),
    *("three-dimensional", "octahedra", "tetrahedra", "trigonal planar", "linear", "distorted"),
    *("corner", "edge", "face", "tilt", "inequivalent", "shorter", "longer"),
)
_COUNT = r"\d*(?:\.\d+)?"
_FORMULA = re.compile(rf"(?<![\w(])(?:\(?[A-Z][a-z]?{_COUNT}|\){_COUNT})+(?!\w)")
_PIECE = re.compile(rf"([A-Z][a-z]?)({_COUNT})|(\()|\)({_COUNT})")


def labels() -> dict[str, list[str]]:
    """The names of all values, by segment: elements, numbers, words."""
    phrases = [
        f"{name} {place + 1}" if count > 1 else name
        for name, _, count in _PHRASES
        for place in range(count)
    ]
    lists = [f"{name}, {what}" for name, _, _ in _LISTS for what, _ in _OF_A_LIST]
    return {"elements": list(BY_NUMBER), "numbers": phrases + lists, "words": list(WORDS)}


def read(text: str) -> npt.NDArray[np.float32]:
    """The values of `labels`, one after another: float32."""
    values = [*elements(text), *numbers(text)]
    lower = text.lower()
    values += [float(lower.count(word)) for word in WORDS]
    return np.array(values, np.float32)


def elements(text: str) -> list[float]:
    """Share of each element in the first formula of the text; zeros if there is none."""
    shares = np.zeros(len(BY_NUMBER))
    for found in _FORMULA.finditer(text):
        counts = composition(found[0])
        if counts:
            for symbol, count in counts.items():
                shares[_PLACE[symbol]] = count
            return list(shares / shares.sum())
    return list(shares)


def composition(formula: str) -> dict[str, float]:
    """How many of each element a formula has; empty for what is no formula.

    >>> composition("Ba(FeAs)2")
    {'Ba': 1.0, 'Fe': 2.0, 'As': 2.0}
    """
    stack: list[dict[str, float]] = [{}]
    place = 0
    for piece in _PIECE.finditer(formula):
        if piece.start() != place:
            return {}
        place = piece.end()
        symbol, count, opens, times = piece.groups()
        if opens:
            stack.append({})
            continue
        factor = float((count if symbol else times) or 1)
        if symbol:
            if symbol not in _PLACE:
                return {}
            stack[-1][symbol] = stack[-1].get(symbol, 0.0) + factor
        elif len(stack) > 1:
            for one, n in stack.pop().items():
                stack[-1][one] = stack[-1].get(one, 0.0) + n * factor
        else:
            return {}
    whole = place == len(formula) and len(stack) == 1 and sum(stack[0].values()) > 0
    return stack[0] if whole else {}


def numbers(text: str) -> list[float]:
    """What phrases announce, and statistics of lists."""
    values: list[float] = []
    for _, phrase, count in _PHRASES:
        found = re.search(phrase + r"((?:[ ,]|and|-?\d+(?:\.\d+)?)+)", text)
        given = [float(one) for one in re.findall(_NUMBER, found[1])] if found else []
        values += [*given, *[ABSENT] * count][:count]
    for _, where, pattern in _LISTS:
        place = re.search(where, text, re.DOTALL) if where else None
        region = text if where is None else place[1] if place else ""
        values += _statistics([float(one) for one in re.findall(pattern, region)])
    return values


def _statistics(found: Sequence[float]) -> list[float]:
    if not found:
        return [0.0, *[ABSENT] * (len(_OF_A_LIST) - 1)]
    return [float(of(np.array(found))) for _, of in _OF_A_LIST]
