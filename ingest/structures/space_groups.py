"""From any name of a space group to its operations: Hermann-Mauguin, Hall, Schoenflies, number.

The names are those of spglib's 530 settings and of gemmi's table, old cubic symbols (``F d 3 m``)
and the suffixes that data bases add (``:2``, ``:R``, ``Z``, ``H``, ``(origin choice 1)``) included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

# pymatgen's pattern takes the square or cube of the digits in a row.
_LONGEST_TRIPLET = 200
_LARGEST_GROUP = 768  # 192 operations, in a magnetic cell four times as large

# Relative; what edges and angles that were rounded, or refined freely, leave of a metric.
METRIC_TOLERANCE = 0.01

_ORIGIN = re.compile(
    r"(?:[:;,(]\s*|\s+|(?<=\D))(?:origin|o)\s*(?:choice|at)?\s*([12])\s*\)?$|:\s*([12])\s*$",
    re.IGNORECASE,
)
_LETTER = re.compile(r"(?<=\S)\s*:?\s*\(?([hrsz]|hr)\)?$", re.IGNORECASE)
_AXES = re.compile(r":\s*(-?[abc][123]?|bac|-?cab|-?bca|-?cba|bac|ba-c|a-cb|-cba)\s*$", re.I)
_NUMBER = re.compile(
    r"[\s,;]*[(\[]?\s*(?:no|nr|num|#)\.?\s*\d{1,3}\s*[)\]]?\s*$|\s*[(\[]\d{2,3}[)\]]\s*$", re.I
)
# An overline, on or behind the digit that it belongs to.
_OVERLINE = re.compile(r"\s*([1346])[\u0304\u0305]|[\u0304\u0305]\s*([1346])|([1346])\s*bar", re.I)
_OLD_CUBIC = re.compile(r"^([pif])([mnadc])3([mncd]?)$")
_EXTENSIONS = {"s": "1", "z": "2", "h": "H", "hr": "H", "r": "R"}


@dataclass(frozen=True, eq=False)
class Operations:
    """Symmetry operations on fractional coordinates, x' = R x + t.

    Parameters
    ----------
    rotations : ndarray of float64, shape (n, 3, 3)
    translations : ndarray of float64, shape (n, 3)
    """

    rotations: npt.NDArray[np.float64]
    translations: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rotations)

    def fit(self, lattice: npt.NDArray[np.float64]) -> bool:
        """Whether they leave the lengths of lattice vectors (rows, Å) as they are."""
        metric = lattice @ lattice.T
        moved = np.transpose(self.rotations, (0, 2, 1)) @ metric @ self.rotations
        return bool(np.abs(moved - metric).max() <= METRIC_TOLERANCE * np.abs(metric).max())


@dataclass(frozen=True, eq=False)
class Setting:
    """A space group with its choice of axes and origin.

    Parameters
    ----------
    number : int
        1 to 230.
    choice : str
        ``"1"`` or ``"2"`` for the origin, ``"H"`` or ``"R"`` for the axes, spglib's code of axes
        elsewhere.
    operations : Operations
    """

    number: int
    choice: str
    operations: Operations


def settings_of_symbol(symbol: str, choice: str = "") -> list[Setting]:
    """The settings that a Hermann-Mauguin or Schoenflies symbol may mean, the standard one first.

    Parameters
    ----------
    symbol : str
        As a file writes it.
    choice : str
        The code of origin or axes if the file gives it elsewhere than in the symbol.

    Returns
    -------
    list of Setting
        Empty if the symbol is not known; several where it leaves origin or axes open.
    """
    if symbol.strip().isdecimal() and len(symbol.strip()) < 4:
        return settings_of_number(int(symbol), choice)
    bare, written = _split(symbol)
    choice = (written or choice).strip()
    plain = _plain(bare)
    found = [_setting(number) for number in _names().get(plain, ())] or _gemmi_settings(plain)
    if choice:
        found = [one for one in found if one.choice.lower() == choice.lower()]
    return found


def settings_of_number(number: int, choice: str = "") -> list[Setting]:
    """The standard setting of a space group, in both origins or axes if there are two."""
    found = [one for one in map(_setting, range(1, 531)) if one.number == number]
    if choice:
        return [one for one in found if one.choice.lower() == choice.lower()]
    return [one for one in found if one.choice in ("1", "2", "H", "R")] or found[:1]


def operations_of_hall(symbol: str) -> Operations | None:
    """The operations that a Hall symbol generates; None if it is none."""
    import gemmi

    try:
        group = gemmi.symops_from_hall(symbol.replace("_", " ").strip())
    except (ValueError, RuntimeError):
        return None
    return _of_gemmi(group)


def operations_of_triplets(triplets: Iterable[str]) -> Operations:
    """Operations as files list them, ``-x, y+1/2, z``.

    Raises
    ------
    ValueError
        Naming the one that cannot be understood.
    """
    rotations, translations = [], []
    for triplet in triplets:
        try:
            rotation, translation = _of_triplet(triplet)
        except Exception as error:  # gemmi and pymatgen raise what they like
            said = repr(triplet) if len(triplet) <= _LONGEST_TRIPLET else f"{triplet[:60]!r}…"
            raise ValueError(f"the symmetry operation {said} is not understood") from error
        if np.abs(rotation - np.rint(rotation)).max() > 1e-6 or (
            abs(abs(np.linalg.det(rotation)) - 1) > 1e-6
        ):
            raise ValueError(f"{triplet!r} is no symmetry operation of a lattice")
        rotations.append(rotation)
        translations.append(translation)
    return Operations(np.array(rotations, dtype=float), np.array(translations, dtype=float))


def number_of(operations: Operations) -> int | None:
    """The number of the space group that the operations are, in whatever setting."""
    import spglib

    try:
        found = spglib.get_spacegroup_type_from_symmetry(
            np.rint(operations.rotations).astype(np.int32), operations.translations
        )
    except Exception:  # whatever spglib's C code makes of operations that are no group
        return None
    return int(found.number) if found is not None else None


def is_group(operations: Operations) -> bool:
    """Whether the product of any two is among them, whole translations apart."""
    if len(operations) > _LARGEST_GROUP:
        return False
    rotations, translations = operations.rotations, operations.translations
    products = rotations[:, None] @ rotations[None, :]
    moved = (rotations[:, None] @ translations[None, :, :, None])[..., 0] + translations[:, None]
    known = _codes(rotations, translations)
    found = _codes(products.reshape(-1, 3, 3), moved.reshape(-1, 3))
    return bool(np.isin(found, known).all())


def _codes(
    rotations: npt.NDArray[np.float64], translations: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """A number for each operation; translations count to 1/96, which forgives 0.333 for 1/3."""
    digits = np.rint(rotations).astype(np.int64).reshape(-1, 9) + 2  # 0 to 4
    steps = np.rint((translations % 1.0) * 96).astype(np.int64) % 96
    turns = digits @ (5 ** np.arange(9, dtype=np.int64))
    return np.asarray(turns * 96**3 + steps @ (96 ** np.arange(3, dtype=np.int64)))


def _of_triplet(
    triplet: str,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    import gemmi

    parts = triplet.split(",")
    if len(parts) != 3 or not all(map(str.strip, parts)) or len(triplet) > _LONGEST_TRIPLET:
        raise ValueError(triplet)
    try:
        op = gemmi.Op(triplet)
    except (ValueError, RuntimeError):
        from pymatgen.core.operations import SymmOp

        general = SymmOp.from_xyz_str(triplet)
        matrix = np.array(general.affine_matrix, dtype=float)
        return matrix[:3, :3], matrix[:3, 3]
    return np.array(op.rot, dtype=float) / op.DEN, np.array(op.tran, dtype=float) / op.DEN


def _of_gemmi(group: object) -> Operations:
    triplets = [op.triplet() for op in group]  # type: ignore[attr-defined]
    return operations_of_triplets(triplets)


@cache
def _setting(hall_number: int) -> Setting:
    import spglib

    kind = spglib.get_spacegroup_type(hall_number)
    listed = spglib.get_symmetry_from_database(hall_number)
    operations = Operations(
        np.array(listed["rotations"], dtype=float), np.array(listed["translations"], dtype=float)
    )
    return Setting(int(kind.number), str(kind.choice), operations)


@cache
def _gemmi_settings(plain: str) -> list[Setting]:
    """Of a name that only gemmi's table has: symbols of before 1992, doubled cells."""
    import gemmi

    return [
        Setting(
            int(group.number),
            "" if group.ext == "\0" else str(group.ext).strip("\0 "),
            _of_gemmi(gemmi.symops_from_hall(group.hall)),
        )
        for group in gemmi.spacegroup_table()
        if plain in (_plain(group.hm), _plain(group.short_name()))
    ]


@cache
def _names() -> dict[str, tuple[int, ...]]:
    """Plain names to spglib's Hall numbers, in its order: the standard setting comes first."""
    import spglib

    names: dict[str, list[int]] = {}

    def add(name: str, hall_number: int) -> None:
        there = names.setdefault(_plain(name), [])
        if hall_number not in there:
            there.append(hall_number)

    for hall_number in range(1, 531):
        kind = spglib.get_spacegroup_type(hall_number)
        alternatives = kind.international.split("=")
        own = alternatives[-1]
        # P 21/c = P 1 21/n 1: the first is the group's name, the second the setting's
        for name in alternatives if kind.choice in ("", "1", "2", "H", "R") else (own,):
            add(name, hall_number)
        add(kind.international_full, hall_number)
        if 3 <= kind.number <= 15:
            # P 1 21/c 1 is written P 21/c, P 1 1 21/b is P 21/b
            add(" ".join(part for part in own.split() if part != "1"), hall_number)
        if kind.choice in ("", "1", "2", "H", "R", "b", "b1"):
            add(kind.schoenflies, hall_number)
    return {name: tuple(numbers) for name, numbers in names.items()}


def _split(symbol: str) -> tuple[str, str]:
    """The symbol without, and its suffix of origin or axes."""
    symbol = _NUMBER.sub("", symbol.replace("−", "-").replace("–", "-"))
    symbol = _OVERLINE.sub(lambda match: f" -{match[1] or match[2] or match[3]}", symbol)
    symbol = symbol.strip().strip("'\"").strip()
    match = _ORIGIN.search(symbol)
    if match is not None:
        return symbol[: match.start()], match[1] or match[2]
    match = _AXES.search(symbol)
    if match is not None:
        return symbol[: match.start()], match[1]
    match = _LETTER.search(symbol)
    if match is not None:
        return symbol[: match.start()], _EXTENSIONS[match[1].lower()]
    return symbol, ""


def _plain(symbol: str) -> str:
    """Without case, spaces, underscores; old cubic symbols as they are written today."""
    plain = re.sub(r"[\s_~.'\"(){}]", "", symbol).lower().replace("bar", "-")
    return _OLD_CUBIC.sub(r"\1\2-3\3", plain)
