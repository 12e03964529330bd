"""Text generators by the name of their text source."""

from __future__ import annotations

from typing import Any

from featurestore.plugins import TEXTS, load_part, part_names
from ingest.text.base import TextGenerator, TextPart


def text_sources() -> tuple[str, ...]:
    """The names of all text sources that installed packages register; nothing is imported."""
    return part_names(TEXTS)


def text_part(source: str) -> TextPart:
    """What the generator of a text source declares, its tags among it.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    PartImportError, PartConflictError, NotAPartError
        If the package that adds it is at fault.
    """
    return load_part(TEXTS, source, TextPart)


def generator(source: str, /, **settings: Any) -> TextGenerator:
    """The generator of a text source; cheap, as it loads nothing before its first use.

    Parameters
    ----------
    source : str
        One of `text_sources`.
    **settings
        Other than the defaults; ``featurestore parts texts NAME`` lists them. Of
        Robocrystallographer: ``guess_oxidation_states``.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is no such source, or a setting is unknown or does not suit.
    MissingPackageError
        If a package is not installed.
    PartImportError, PartConflictError, NotAPartError
        As for `text_part`.
    """
    return text_part(source).generator(settings)
