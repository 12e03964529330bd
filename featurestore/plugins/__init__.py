"""Parts that any installed package can add: encoders, text generators, predictors, readers."""

from __future__ import annotations

from featurestore.plugins.part import MissingPackageError, Part, Request
from featurestore.plugins.registered import (
    ENCODERS,
    PREDICTORS,
    SOURCES,
    TEXTS,
    NotAPartError,
    PartConflictError,
    PartImportError,
    Registered,
    load_part,
    loaded_alone,
    part_names,
    registered,
)
from featurestore.plugins.settings import Setting, checked_settings, parse_settings

__all__ = [
    "ENCODERS",
    "PREDICTORS",
    "SOURCES",
    "TEXTS",
    "MissingPackageError",
    "NotAPartError",
    "Part",
    "PartConflictError",
    "PartImportError",
    "Registered",
    "Request",
    "Setting",
    "checked_settings",
    "load_part",
    "loaded_alone",
    "parse_settings",
    "part_names",
    "registered",
]
