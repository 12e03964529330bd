"""Ids of materials from the names of their files: as much of the path as tells them apart."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.errors import InvalidInputError
from featurestore.output.terminal import one_line
from ingest.structures.readers.registry import stem_of

LONGEST_ID = 200  # characters of an id that stands in a file
WAYS = ("stem", "path", "formula", "regex:…")


@dataclass(frozen=True)
class IdRule:
    """How a material gets its id.

    Parameters
    ----------
    way : str
        ``"stem"``, ``"path"``, ``"formula"`` or ``"regex"``.
    pattern : str
        Of ``"regex"``: what of the path is the id, its first group or the whole of the match.
    """

    way: str = "stem"
    pattern: str = ""

    @classmethod
    def parse(cls, text: str) -> IdRule:
        """The rule that a user names.

        Raises
        ------
        InvalidInputError
            If there is no such rule, or the pattern is none.
        """
        way, colon, pattern = text.partition(":")
        if way == "regex" and colon:
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise InvalidInputError(f"{pattern!r} is no regular expression: {error}") from error
            return cls(way, pattern)
        if way in ("stem", "path", "formula") and not colon:
            return cls(way)
        raise InvalidInputError(
            f"ids cannot be taken from {text!r}; choose one of {', '.join(WAYS)}, for example "
            "'regex:(mp-[0-9]+)'"
        )

    def ids(self, paths: Sequence[str]) -> list[str]:
        """The id of each file, by its path with ``/``; empty where the pattern finds nothing."""
        if self.way == "path":
            return _whole(paths)
        if self.way == "regex":
            found = [re.search(self.pattern, path) for path in paths]
            return [
                (match[1] if match.re.groups and match[1] else match[0]) if match else ""
                for match in found
            ]
        return unique_ids(paths)


def why_no_id(text: str) -> str:
    """Why a text that stands in a file cannot be an id, in words; empty if it can."""
    if not text.strip():
        return "is empty"
    if len(text) > LONGEST_ID or one_line(text) != text:
        return (
            f"{one_line(text)[:40]!r} holds control characters, or more than {LONGEST_ID} "
            "characters"
        )
    return ""


def unique_ids(paths: Sequence[str]) -> list[str]:
    """The stem of each file, with as many of its folders as tell it from the others.

    Files of one folder that differ in their suffix alone keep it: ``a.cif`` and ``a.vasp``.
    """
    wholes = _whole(paths)
    ids = [""] * len(paths)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, whole in enumerate(wholes):
        groups[whole.rpartition("/")[2]].append(index)
    for members in groups.values():
        parts = [wholes[index].split("/") for index in members]
        deepest = max(map(len, parts))
        for depth in range(1, deepest + 1):
            shortened = ["/".join(part[-depth:]) for part in parts]
            if len(set(shortened)) == len(shortened):
                break
        for index, name in zip(members, shortened, strict=True):
            ids[index] = name
    return ids


def _whole(paths: Sequence[str]) -> list[str]:
    """Paths without the suffixes of their formats, kept where two would be one."""
    stripped = []
    for path in paths:
        folder, slash, name = path.rpartition("/")
        stripped.append(f"{folder}{slash}{stem_of(name)}")
    count: dict[str, int] = defaultdict(int)
    for whole in stripped:
        count[whole] += 1
    return [
        whole if count[whole] == 1 else path for whole, path in zip(stripped, paths, strict=True)
    ]
