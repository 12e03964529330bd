"""The elements: their places in the periodic table, and how they are drawn.

Colours are those of Jmol (https://jmol.sourceforge.net/jscolors), radii are covalent ones in Å
(B. Cordero et al., Dalton Trans. (2008) 2832).
"""

from __future__ import annotations

from dataclasses import dataclass


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


_DATA = """
H Hydrogen ffffff 0.31
He Helium d9ffff 0.28
Li Lithium cc80ff 1.28
Be Beryllium c2ff00 0.96
B Boron ffb5b5 0.84
C Carbon 909090 0.76
N Nitrogen 3050f8 0.71
O Oxygen ff0d0d 0.66
F Fluorine 90e050 0.57
Ne Neon b3e3f5 0.58
Na Sodium ab5cf2 1.66
Mg Magnesium 8aff00 1.41
Al Aluminium bfa6a6 1.21
Si Silicon f0c8a0 1.11
P Phosphorus ff8000 1.07
S Sulfur ffff30 1.05
Cl Chlorine 1ff01f 1.02
Ar Argon 80d1e3 1.06
K Potassium 8f40d4 2.03
Ca Calcium 3dff00 1.76
Sc Scandium e6e6e6 1.70
Ti Titanium bfc2c7 1.60
V Vanadium a6a6ab 1.53
Cr Chromium 8a99c7 1.39
Mn Manganese 9c7ac7 1.39
Fe Iron e06633 1.32
Co Cobalt f090a0 1.26
Ni Nickel 50d050 1.24
Cu Copper c88033 1.32
Zn Zinc 7d80b0 1.22
Ga Gallium c28f8f 1.22
Ge Germanium 668f8f 1.20
As Arsenic bd80e3 1.19
Se Selenium ffa100 1.20
Br Bromine a62929 1.20
Kr Krypton 5cb8d1 1.16
Rb Rubidium 702eb0 2.20
Sr Strontium 00ff00 1.95
Y Yttrium 94ffff 1.90
Zr Zirconium 94e0e0 1.75
Nb Niobium 73c2c9 1.64
Mo Molybdenum 54b5b5 1.54
Tc Technetium 3b9e9e 1.47
Ru Ruthenium 248f8f 1.46
Rh Rhodium 0a7d8c 1.42
Pd Palladium 006985 1.39
Ag Silver c0c0c0 1.45
Cd Cadmium ffd98f 1.44
In Indium a67573 1.42
Sn Tin 668080 1.39
Sb Antimony 9e63b5 1.39
Te Tellurium d47a00 1.38
I Iodine 940094 1.39
Xe Xenon 429eb0 1.40
Cs Caesium 57178f 2.44
Ba Barium 00c900 2.15
La Lanthanum 70d4ff 2.07
Ce Cerium ffffc7 2.04
Pr Praseodymium d9ffc7 2.03
Nd Neodymium c7ffc7 2.01
Pm Promethium a3ffc7 1.99
Sm Samarium 8fffc7 1.98
Eu Europium 61ffc7 1.98
Gd Gadolinium 45ffc7 1.96
Tb Terbium 30ffc7 1.94
Dy Dysprosium 1fffc7 1.92
Ho Holmium 00ff9c 1.92
Er Erbium 00e675 1.89
Tm Thulium 00d452 1.90
Yb Ytterbium 00bf38 1.87
Lu Lutetium 00ab24 1.87
Hf Hafnium 4dc2ff 1.75
Ta Tantalum 4da6ff 1.70
W Tungsten 2194d6 1.62
Re Rhenium 267dab 1.51
Os Osmium 266696 1.44
Ir Iridium 175487 1.41
Pt Platinum d0d0e0 1.36
Au Gold ffd123 1.36
Hg Mercury b8b8d0 1.32
Tl Thallium a6544d 1.45
Pb Lead 575961 1.46
Bi Bismuth 9e4fb5 1.48
Po Polonium ab5c00 1.40
At Astatine 754f45 1.50
Rn Radon 428296 1.50
Fr Francium 420066 2.60
Ra Radium 007d00 2.21
Ac Actinium 70abfa 2.15
Th Thorium 00baff 2.06
Pa Protactinium 00a1ff 2.00
U Uranium 008fff 1.96
Np Neptunium 0080ff 1.90
Pu Plutonium 006bff 1.87
Am Americium 545cf2 1.80
Cm Curium 785ce3 1.69
Bk Berkelium 8a4fe3 2.00
Cf Californium a136d4 2.00
Es Einsteinium b31fd4 2.00
Fm Fermium b31fba 2.00
Md Mendelevium b30da6 2.00
No Nobelium bd0d87 2.00
Lr Lawrencium c70066 2.00
Rf Rutherfordium cc0059 2.00
Db Dubnium d1004f 2.00
Sg Seaborgium d90045 2.00
Bh Bohrium e00038 2.00
Hs Hassium e6002e 2.00
Mt Meitnerium eb0026 2.00
Ds Darmastadtium eb0026 2.00
Rg Roentgenium eb0026 2.00
Cn Copernicium eb0026 2.00
Nh Nihonium eb0026 2.00
Fl Flerovium eb0026 2.00
Mc Moscovium eb0026 2.00
Lv Livermorium eb0026 2.00
Ts Tennessine eb0026 2.00
Og Oganesson eb0026 2.00
"""

ELEMENTS: dict[str, Element] = {
    symbol: Element(symbol, name, number, *_place(number), f"#{colour}", float(radius))
    for number, (symbol, name, colour, radius) in enumerate(
        map(str.split, _DATA.split("\n")[1:-1]), 1
    )
}

#: The table as people know it: 9 rows of 18 places.
GRID: tuple[tuple[Element | None, ...], ...] = tuple(
    tuple(
        next((one for one in ELEMENTS.values() if (one.row, one.group) == (row, group)), None)
        for group in range(1, 19)
    )
    for row in range(1, 10)
)
