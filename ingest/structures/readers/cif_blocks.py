"""The data blocks of a CIF, by gemmi, or by pymatgen where gemmi finds the syntax broken."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.structures.checks import LARGEST_CELL
from ingest.structures.readers.base import PLAIN_SIGNS, Content, plain_signs
from ingest.structures.refusals import LimitError, UnreadableFileError

Values = Sequence[str | None]

# What is said of a structure; reflections and powder patterns of megabytes are not looked at.
_CATEGORIES = (
    "_cell",
    "_symmetry",
    "_space_group",
    "_atom_site",
    "_chemical_formula",
    "_exptl_crystal_density_diffrn",
)
_NOT = ("_atom_site_aniso", "_atom_site_moment", "_atom_site_fourier", "_atom_sites")
_HEADER = re.compile(r"[ \t]*data_(\S*)", re.IGNORECASE)
_SITES = re.compile(r"_atom_site[_.](?:fract|cartn)_x", re.IGNORECASE)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d*\))?$")


@dataclass(frozen=True)
class Block:
    """One data block.

    Parameters
    ----------
    name : str
    items : mapping of str to sequence of str or None
        Values by tag, in lower case with ``_`` for ``.``; None stands for ``?`` and ``.``.
    tags : frozenset of str
        All tags of the block.
    text : str
        The block again, as a CIF of its own, without what is not about its structure.
    notes : tuple of str
        What was wrong with the syntax.
    unreadable : str
        Why nothing of it can be read, where others of its file can.
    """

    name: str
    items: Mapping[str, Values]
    tags: frozenset[str] = frozenset()
    text: str = ""
    notes: tuple[str, ...] = field(default=())
    unreadable: str = ""

    def values(self, *tags: str) -> Values:
        """The values of the first of these tags that the block has; empty if it has none."""
        return next((self.items[tag] for tag in tags if tag in self.items), ())

    def value(self, *tags: str) -> str | None:
        """The first value that is neither ``?`` nor ``.``."""
        for tag in tags:
            for value in self.items.get(tag, ()):
                if value is not None and value.strip():
                    return value.strip()
        return None

    @property
    def holds_sites(self) -> bool:
        """Whether it is about atoms in a cell."""
        return (
            bool(self.unreadable)
            or any(value is not None for value in self.values("_atom_site_fract_x"))
            or ("_atom_site_cartn_x" in self.items and "_cell_length_a" in self.items)
        )


def number(value: str | None) -> float | None:
    """A CIF number without its standard uncertainty; None if it is none."""
    match = _NUMBER.match(value.strip()) if value is not None else None
    found = float(match[1]) if match else math.inf
    return found if math.isfinite(found) else None


def decimals(value: str) -> int:
    """How many digits stand behind the point."""
    digits = value.partition("(")[0].partition(".")[2]
    return len(re.match(r"\d*", digits)[0])  # type: ignore[index]


def blocks(content: Content) -> Iterator[Block]:
    """The data blocks of a CIF, in order.

    A block that breaks the syntax leaves the others: where the whole cannot be read, each is read
    alone.

    Raises
    ------
    UnreadableFileError
        If neither library can tell its blocks.
    """
    import gemmi

    text = content.text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    if not re.search(r"^\s*data_", text, re.IGNORECASE | re.MULTILINE):
        raise UnreadableFileError(
            "the CIF has no line that begins with data_, so no data block; the usual cause is a "
            "lost first line"
        )
    try:
        document = gemmi.cif.read_string(text)
        notes: tuple[str, ...] = ()
    except (ValueError, RuntimeError):
        try:
            document = gemmi.cif.read_string(plain_signs(text))
            notes = (PLAIN_SIGNS,)
        except (ValueError, RuntimeError):
            yield from _one_by_one(text)
            return
    for block in document:
        yield _of_gemmi(block, notes)


def _one_by_one(text: str) -> Iterator[Block]:
    pieces = _pieces(text)
    for name, before, piece in pieces:
        try:
            yield from _leniently(piece, before)
        except UnreadableFileError as error:
            if len(pieces) == 1:
                raise
            if _SITES.search(piece):  # else it would not have been looked at
                yield Block(name, {}, unreadable=str(error))


def _pieces(text: str) -> list[tuple[str, int, str]]:
    """Each block's name, the number of lines before it, and its text."""
    found: list[tuple[str, int, list[str]]] = [("", 0, [])]
    in_text = False
    for number, line in enumerate(text.split("\n")):
        in_text ^= line.startswith(";")
        header = None if in_text else _HEADER.match(line)
        if header is not None:
            found.append((header[1], number, []))
        found[-1][2].append(line)
    # what stands before the first block are comments
    return [(name, before, "\n".join(lines)) for name, before, lines in found[1:]]


def _leniently(text: str, before: int) -> Iterator[Block]:
    """The block of a text that may have a tag twice, or syntax that pymatgen alone reads."""
    import gemmi

    notes: tuple[str, ...] = ()
    try:
        try:
            document = gemmi.cif.read_string(text)
        except (ValueError, RuntimeError) as error:
            if "duplicate" not in str(error):
                raise
            notes = (f"syntax: {_without_source(error, before)}",)
            document = gemmi.cif.read_string(text, check_level=0)
    except (ValueError, RuntimeError) as error:
        yield from _by_pymatgen(text, _without_source(error, before))
        return
    for block in document:
        yield _of_gemmi(block, notes)


def _of_gemmi(block: Any, notes: tuple[str, ...]) -> Block:
    import gemmi

    tags: set[str] = set()
    items: dict[str, Values] = {}
    short = gemmi.cif.Block(block.name or "x")
    for item in block:
        if item.pair is not None:
            tag = _plain(item.pair[0])
            tags.add(tag)
            if _wanted(tag):
                items.setdefault(tag, [_value(item.pair[1])])
                short.add_item(item)
        elif item.loop is not None:
            columns = [_plain(tag) for tag in item.loop.tags]
            tags.update(columns)
            if not any(map(_wanted, columns)):
                continue
            if item.loop.length() > LARGEST_CELL and any(map(_is_site, columns)):
                raise LimitError(
                    f"block {block.name!r} lists {item.loop.length():,} sites; the largest cell "
                    f"that is analysed has {LARGEST_CELL:,} atoms"
                )
            values = item.loop.values
            for position, tag in enumerate(columns):
                items.setdefault(tag, [_value(raw) for raw in values[position :: len(columns)]])
            short.add_item(item)
    text = short.as_string()
    if not text.isascii() and any(
        value != plain_signs(value) for column in items.values() for value in column if value
    ):
        items = {tag: [value and plain_signs(value) for value in items[tag]] for tag in items}
        text, notes = plain_signs(text), (*notes, PLAIN_SIGNS)
    return Block(block.name, items, frozenset(tags), text, notes)


def _is_site(tag: str) -> bool:
    return tag.startswith("_atom_site_fract")


def _by_pymatgen(text: str, why: str) -> Iterator[Block]:
    """The blocks as a more lenient reader finds them."""
    from pymatgen.io.cif import CifFile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the syntax is broken is noted anyhow
            found = CifFile.from_str(text).data
            texts = {name: str(block) for name, block in found.items()}
    except Exception as error:
        raise UnreadableFileError(f"the CIF's syntax is broken: {why}") from error
    notes = (f"syntax: the CIF's syntax is broken ({why}); pymatgen read it",)
    for name, block in found.items():
        items = {
            _plain(tag): [
                None if one in ("?", ".") else str(one)
                for one in (value if isinstance(value, list) else [value])
            ]
            for tag, value in block.data.items()
        }
        if len(items.get("_atom_site_fract_x", ())) > LARGEST_CELL:
            raise LimitError(f"block {name!r} lists more than {LARGEST_CELL:,} sites")
        yield Block(str(name), items, frozenset(items), texts[name], notes)


def _plain(tag: str) -> str:
    return tag.lower().replace(".", "_")


def _wanted(tag: str) -> bool:
    return tag.startswith(_CATEGORIES) and not tag.startswith(_NOT)


def _value(raw: str) -> str | None:
    import gemmi

    return None if gemmi.cif.is_null(raw) else str(gemmi.cif.as_string(raw))


def _without_source(error: Exception, before: int) -> str:
    """What gemmi says, with the line of the file instead of that of the block."""

    def position(match: re.Match[str]) -> str:
        return f"line {int(match[1]) + before}: " if match[1] else ""

    where = r"^string:?(?:(\d+)(?::\d+)?\s*(?:\(\d+\))?(?: in data_\S*?)?)?:?\s*"
    return re.sub(where, position, str(error)).strip()
