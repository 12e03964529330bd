"""A part: what makes an encoder, a text generator or a predictor, and all that it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import file_digest
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.plugins.settings import Setting, checked_settings

#: Settings under these names would stand in the way of arguments of the functions that make parts.
_RESERVED = ("name", "folder")


class MissingPackageError(MissingDataError):
    """A part needs a package that is not installed; the message says how to get it."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a package declares about a part, and the function that makes it.

    A module that holds one should import quickly: model libraries are imported by ``make``.

    Parameters
    ----------
    name : str
        What users type; the name of the entry point.
    summary : str
        A sentence on what it does.
    make : callable
        From a `Request` to the encoder, generator or predictor.
    settings : tuple of Setting
        What can be chosen.
    packages : tuple of str
        Distributions whose versions can change a result, as pip names them. They must be installed.
    data : tuple of str
        Files whose content can change a result, each as ``module:path/within/it``.
    trained_on : str or tuple of str, optional
        The material ids that its weights were fitted on, none for what learnt from no material; or
        in words where the ids are not known. None says nothing.
    licence : str
        Under which terms its weights and code are used.
    read_settings : callable, optional
        From a stored fingerprint to the settings that made it, for a part that does not use
        `Request.fingerprint`. Default: those of its settings' names under ``settings``, else beside
        the rest.
    install : str
        The command that brings the packages, where it is not ``pip install`` and their names.

    Raises
    ------
    InvalidInputError
        If two settings share a name, or one has a name that is taken.
    """

    name: str
    summary: str
    make: Callable[[Request], Any]
    settings: tuple[Setting, ...] = ()
    packages: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    trained_on: str | tuple[str, ...] | None = None
    licence: str = ""
    read_settings: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = field(
        default=None, repr=False
    )
    install: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        names = [setting.name for setting in self.settings]
        for name in names:
            if names.count(name) > 1 or name in _RESERVED:
                raise InvalidInputError(
                    f"{self.name!r} cannot have the setting {name!r}: the name is taken"
                )

    def versions(self) -> dict[str, str]:
        """The installed version of each package.

        Raises
        ------
        MissingPackageError
            If one is not installed.
        """
        versions = {}
        for package in self.packages:
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                install = self.install or f"pip install {package}"
                raise MissingPackageError(
                    f"{self.name!r} needs the package {package!r}, which is not installed: "
                    f"{install}"
                ) from None
        return versions

    def identity(self) -> dict[str, Any]:
        """What goes into the fingerprint beside the settings: name, versions, data, training.

        Raises
        ------
        MissingPackageError
            If a package is not installed.
        InvalidInputError
            If a file of ``data`` is not there.
        """
        parts: dict[str, Any] = {"part": self.name, "versions": self.versions()}
        if self.data:
            parts["data_sha256"] = {name: self._sha256(name) for name in self.data}
        if self.trained_on is not None:
            words = isinstance(self.trained_on, str)
            parts["trained_on"] = self.trained_on if words else list(self.trained_on)
        return parts

    def _sha256(self, name: str) -> str:
        module, _, path = name.partition(":")
        try:
            with resources.files(module).joinpath(path).open("rb") as file:
                return file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except (ImportError, OSError, TypeError) as error:
            raise InvalidInputError(f"{self.name!r} lacks its data {name}: {error}") from error

    def build(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        folder: Path | None = None,
        name: str | None = None,
    ) -> Any:
        """Make the encoder, generator or predictor.

        Parameters
        ----------
        settings : mapping, optional
            Other than the defaults.
        folder : Path, optional
            Of weights, for a part that reads one.
        name : str, optional
            The name in the store, where it is not the part's.

        Raises
        ------
        UnknownNameError, InvalidInputError
            If a setting is unknown or its value does not suit.
        MissingPackageError
            If a package is not installed.
        """
        chosen = checked_settings(self, settings or {})
        self.versions()
        return self.make(Request(self, chosen, name or self.name, folder))

    def settings_in(self, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that a stored fingerprint records; what it does not, is at its default."""
        if self.read_settings is not None:
            return dict(self.read_settings(fingerprint))
        recorded = fingerprint.get("settings", fingerprint)
        return {one.name: recorded[one.name] for one in self.settings if one.name in recorded}


@dataclass(frozen=True)
class Request:
    """What a maker is asked for.

    Parameters
    ----------
    part : Part
        The maker's own.
    settings : mapping
        A value for every setting of the part.
    name : str
        What the thing is called in the store.
    folder : Path or None
        Of weights, for a part that reads one.
    """

    part: Part
    settings: Mapping[str, Any]
    name: str
    folder: Path | None = None

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that the part declares to change a result; a maker adds what only it knows.

        Raises
        ------
        MissingPackageError, InvalidInputError
            As for `Part.identity`.
        """
        chosen = {one.name: self.settings[one.name] for one in self.part.settings if one.identity}
        return self.part.identity() | {"settings": chosen}
