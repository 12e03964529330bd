"""Which column of a table holds the ids and which the values of which property, in which unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from featurestore.classes import shown_unit, written_unit
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.registry import Property, PropertyRegistry, check_property_name
from ingest.structures.opening import shown
from ingest.targets.table import Table

_ID_COLUMNS = ("material_id", "jid", "id")
# "band gap (eV)", "band gap [eV]", "band gap / eV", "band gap in eV"
_UNIT_IN_NAME = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$|(?:\s/\s*|\s+in\s+)(\S+)\s*$")
# Units that people write, beside those of the registry.
_UNITS = {
    *("meV", "keV", "MeV", "eV", "J", "kJ", "Ry", "Ha", "Hartree", "hartree", "Rydberg"),
    *("kJ/mol", "kcal/mol", "J/mol", "meV/atom", "eV/atom", "Ha/atom", "Ry/atom", "eV/cell"),
    *("eV/f.u.", "eV/fu", "eV/formula", "kJ/mol/atom", "meV/A^2", "J/m^2", "eV/A^2", "eV/A"),
    *("K", "mK", "C", "°C", "F", "Pa", "kPa", "MPa", "GPa", "TPa", "kbar", "bar", "atm"),
    *("A", "nm", "pm", "um", "m", "bohr", "A^3", "nm^3", "A^3/atom", "g/cm^3", "kg/m^3"),
    *("mu_B", "mu_B/atom", "mu_B/f.u.", "emu/g", "T", "Oe", "%", "1", "W/mK", "W/(m K)", "S/m"),
}
_SAME_UNIT = {
    **dict.fromkeys(("Å", "Å", "Ang", "Angstrom", "angstrom"), "A"),
    **dict.fromkeys(("uB", "u_B", "muB", "Bohr magneton", "bohr magneton"), "mu_B"),
    **dict.fromkeys(("eV/at", "eV/at."), "eV/atom"),
    **dict.fromkeys(("meV/at", "meV/at."), "meV/atom"),
    **dict.fromkeys(("ev", "EV"), "eV"),
    **dict.fromkeys(("Kelvin", "kelvin"), "K"),
    **dict.fromkeys(("-", "dimensionless", "unitless", "none"), "1"),
}


@dataclass(frozen=True)
class Columns:
    """What is read of a table.

    Parameters
    ----------
    ids : str
        The column with the material ids.
    targets : mapping of str to Property
        By the names of their columns.
    notes : tuple of str
        Which column is read as what, and which are left alone.
    """

    ids: str
    targets: Mapping[str, Property]
    notes: tuple[str, ...]


def parse_columns(assignments: Iterable[str]) -> dict[str, str]:
    """Column by column what is meant, from ``COLUMN=PROPERTY`` or ``COLUMN=NAME:UNIT``.

    Raises
    ------
    InvalidInputError
        If one has another form, or a column is named twice.
    """
    found: dict[str, str] = {}
    for assignment in assignments:
        column, equals, meant = assignment.rpartition("=")
        if not equals or not column.strip() or not meant.strip():
            raise InvalidInputError(
                f"a column is given as COLUMN=PROPERTY or COLUMN=NAME:UNIT; got {assignment!r}"
            )
        if column.strip() in found:
            raise InvalidInputError(f"column {column.strip()!r} is given twice")
        found[column.strip()] = meant.strip()
    return found


def ad_hoc_properties(columns: Mapping[str, str]) -> list[Property]:
    """The properties that are given with their units, as ``NAME:UNIT``.

    ``NAME:boolean`` and ``NAME:category[A,B]`` have classes.

    Raises
    ------
    InvalidInputError
        If a name could not be used in SQL beside the columns of ``materials``.
    """
    found = []
    for meant in columns.values():
        name, colon, unit = (part.strip() for part in meant.partition(":"))
        if not colon:
            continue
        if not unit:
            raise InvalidInputError(f"{meant!r} is no NAME:UNIT: one without unit is in 1")
        try:
            check_property_name(name)
        except InvalidInputError as error:
            raise InvalidInputError(f"{meant!r} is no NAME:UNIT: {error}") from error
        found.append(Property(name, written_unit(unit)))
    return found


def named_properties(columns: Mapping[str, str], registry: PropertyRegistry) -> dict[str, str]:
    """The property that each field of other people's data is taken as, by its name alone.

    Parameters
    ----------
    columns : mapping of str to str
        From `parse_columns`.
    registry : PropertyRegistry
        With those of `ad_hoc_properties`.

    Raises
    ------
    InvalidInputError
        If two fields are one property.
    UnknownNameError
        If the registry lacks a property.
    """
    named: dict[str, str] = {}
    for field, meant in columns.items():
        name = registry[meant.partition(":")[0].strip()].name
        other = next((one for one, taken in named.items() if taken == name), None)
        if other is not None:
            raise InvalidInputError(f"{other!r} and {field!r} are both taken as {name}")
        named[field] = name
    return named


def columns_of(
    table: Table,
    registry: PropertyRegistry,
    id_column: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Columns:
    """What the columns of a table are: as given, else by their names.

    Parameters
    ----------
    table : Table
    registry : PropertyRegistry
        Known properties; a column of such a name is one of targets.
    id_column : str, optional
        By default the one called material_id, jid or id.
    columns : mapping of str to str
        Properties, or ``NAME:UNIT``, by the names of their columns.

    Raises
    ------
    InvalidInputError
        If there is no column with ids, none with targets, two for one property, or one that is
        named after another unit than its property's.
    UnknownNameError
        If a column or property that is given is not known.
    """
    given = columns or {}
    where = shown(table.path)
    for name in (*given, *([id_column] if id_column is not None else [])):
        if name not in table.columns:
            raise UnknownNameError("column", name, table.columns, f"(in {where})")
    ids = id_column or next((name for name in _ID_COLUMNS if name in table.columns), None)
    if ids is None:
        raise InvalidInputError(
            f"{where}: no column with the material ids: name one with --id-column "
            f"(columns: {', '.join(table.columns)})"
        )
    targets: dict[str, Property] = {}
    for column in table.columns:
        if column in given:
            targets[column] = registry[given[column].partition(":")[0].strip()]
        elif column in registry and column != ids:
            targets[column] = registry[column]
    left = [name for name in table.columns if name not in targets and name != ids]
    if not targets:
        raise InvalidInputError(
            f"{where}: no column is a known property ({_listed(left)}); name what one holds: "
            f"--column {left[0] if left else 'COLUMN'!r}=PROPERTY, or =NAME:UNIT for a property "
            "of your own"
        )
    _check_distinct(targets, where)
    for column, target in targets.items():
        _check_unit(column, target, where, registry)
    notes = [
        f"column {column!r} read as {target.name} in {shown_unit(target.unit)}"
        for column, target in targets.items()
        if column != target.name or target.classes
    ]
    if left:
        notes.append(
            f"columns left alone: {_listed(left)} (--column {left[0]!r}=PROPERTY or =NAME:UNIT "
            "takes one)"
        )
    return Columns(ids, targets, tuple(notes))


def _check_distinct(targets: Mapping[str, Property], where: str) -> None:
    first: dict[str, str] = {}
    for column, target in targets.items():
        other = first.setdefault(target.name, column)
        if other != column:
            raise InvalidInputError(
                f"{where}: columns {other!r} and {column!r} are both {target.name}"
            )


def _check_unit(column: str, target: Property, where: str, registry: PropertyRegistry) -> None:
    found = _UNIT_IN_NAME.search(column)
    known = _UNITS | {_plain_unit(one.unit) for one in registry.properties.values()}
    if found is not None:
        stated = _plain_unit(found[1] or found[2])
    else:  # "gap_meV", "gap meV"; letters such as A and K are more often something else
        stated = _plain_unit(re.split(r"[_\s]", column)[-1])
        known = {one for one in known if len(one) > 1} if stated != column else set()
    if stated in known and stated != _plain_unit(target.unit):
        raise InvalidInputError(
            f"{where}: column {column!r} is in {stated}, {target.name} in {target.unit}: convert "
            f"its values and rename it, or store it as a property of its own, =NAME:{stated}"
        )


def is_unit(text: str) -> bool:
    """Whether a text is a unit, in brackets or not."""
    return _plain_unit(text.strip("()[] ")) in _UNITS


def _plain_unit(text: str) -> str:
    text = " ".join(text.split()).replace("µ", "u").replace("μ", "u").replace("Å", "A")
    text = text.replace(" / ", "/").replace("³", "^3").replace("²", "^2")
    return _SAME_UNIT.get(text, text)


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(map(repr, names[:most])) or "it has no other columns") + more
