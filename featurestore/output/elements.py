"""How an element is drawn: Jmol's colours, and covalent radii, both as ASE has them."""

from __future__ import annotations

from functools import cache


@cache
def look(symbol: str) -> tuple[str, float] | None:
    """The colour of an element as ``#rrggbb``, and its covalent radius in Å; None for what is none.

    Radii are those of B. Cordero et al., Dalton Trans. 2008, 2832. Elements for which Jmol has no
    colour have that of the last.
    """
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    number = atomic_numbers.get(symbol, 0)
    if not number:
        return None
    colour = jmol_colors[min(number, len(jmol_colors) - 1)]
    parts = "".join(f"{round(255 * float(part)):02x}" for part in colour)
    return f"#{parts}", float(covalent_radii[number])


def name_of(symbol: str) -> str:
    """An element's name; the symbol itself of what is none."""
    from ase.data import atomic_names, atomic_numbers

    number = atomic_numbers.get(symbol, 0)
    return str(atomic_names[number]) if number else symbol
