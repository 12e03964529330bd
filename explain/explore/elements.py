"""The elements: their places in the periodic table, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from ase.data import atomic_names, chemical_symbols

from featurestore.output.elements import look


@dataclass(frozen=True)
class Element:
    """An element.

    Parameters
    ----------
    symbol, name : str
        For example "Fe" and "Iron".
    number : int
        Atomic number.
    row, group : int
        Place in the table of 18 columns, from 1; lanthanides and actinides are in rows 8 and 9.
    colour : str
        As ``#rrggbb``.
    radius : float
        In Å.
    """

    symbol: str
    name: str
    number: int
    row: int
    group: int
    colour: str
    radius: float


_NOBLE = (2, 10, 18, 36, 54, 86, 118)


def _place(number: int) -> tuple[int, int]:
    """Row and group of an element."""
    row = next(row for row, last in enumerate(_NOBLE, 1) if number <= last)
    before = 0 if row == 1 else _NOBLE[row - 2]
    place, length = number - before, _NOBLE[row - 1] - before
    if length == 32 and 3 <= place <= 17:
        return row + 2, place
    if place <= 2 and number != 2:
        return row, place
    return row, place + 18 - length


def _element(number: int) -> Element:
    symbol, drawn = chemical_symbols[number], look(chemical_symbols[number])
    assert drawn is not None
    colour, radius = drawn
    return Element(symbol, atomic_names[number], number, *_place(number), colour, radius)


ELEMENTS: dict[str, Element] = {
    element.symbol: element for element in map(_element, range(1, _NOBLE[-1] + 1))
}

#: The table as people know it: 9 rows of 18 places.
GRID: tuple[tuple[Element | None, ...], ...] = tuple(
    tuple(
        next((one for one in ELEMENTS.values() if (one.row, one.group) == (row, group)), None)
        for group in range(1, 19)
    )
    for row in range(1, 10)
)
