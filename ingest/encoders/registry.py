"""From a name or a folder to the encoder part that makes vectors of it.

A part is either named itself (``matminer``, ``chgnet``, a stranger's), or it is an architecture
that recognises a folder of weights by its configuration (``alignn``, ``bert``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.files import read_json
from featurestore.plugins import ENCODERS, PartConflictError, load_part, part_names, registered
from ingest.encoders.base import EncoderPart, StructureEncoder, TextEncoder
from ingest.weights.cache import cached_folder, find_weights, weights_folder
from ingest.weights.registry import registry

CONFIG = "config.json"


@dataclass(frozen=True)
class NamedEncoder:
    """What a user's name for an encoder stands for.

    Parameters
    ----------
    part : EncoderPart
        What makes it.
    name : str
        Its name in the store: that of the part, of pulled weights or of a folder.
    folder : Path or None
        Of its weights.
    """

    part: EncoderPart
    name: str
    folder: Path | None = None

    @property
    def anywhere(self) -> str:
        """What names it in a process that works in another folder, too."""
        if self.folder is None or self.folder == cached_folder(self.name):
            return self.name
        return str(self.folder.resolve())

    def load(self, settings: Mapping[str, Any]) -> StructureEncoder | TextEncoder:
        """The encoder with these settings, others at their defaults.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError
            As for `load_encoder`.
        """
        encoder = self.part.build(settings, folder=self.folder, name=self.name)
        if encoder.spec.kind != self.part.kind:
            raise InvalidInputError(
                f"the encoder {self.part.name!r} of {registered(ENCODERS, self.part.name)} is "
                f"declared for {self.part.kind}s and makes one for {encoder.spec.kind}s"
            )
        return encoder  # type: ignore[no-any-return]


def named_encoder(name: str) -> NamedEncoder:
    """The encoder of that name, not loaded yet.

    A registered part wins over a folder of that name in the working directory: write ``./NAME``
    for the folder.

    Raises
    ------
    UnknownNameError
        If it is no part, no weights and no folder.
    MissingDataError
        If the weights are known but not pulled.
    InvalidInputError
        If no part recognises the folder's configuration.
    PartImportError, PartConflictError, NotAPartError
        If the part cannot be used, or its name stands for weights as well, or two parts recognise
        the folder.
    """
    if name in part_names(ENCODERS):
        part = load_part(ENCODERS, name, EncoderPart)
        if part.recognises is None:
            if name in registry() or find_weights(name):
                raise PartConflictError(
                    f"{name!r} is an encoder of {registered(ENCODERS, name)} and the name of "
                    f"weights: write {cached_folder(name)} for these, or uninstall the package"
                )
            return NamedEncoder(part, name)
        if not (Path(name).is_dir() or find_weights(name)):
            raise InvalidInputError(
                f"{name!r} is an architecture, which needs weights: name pulled ones (featurestore "
                "models list) or a folder"
            )
    try:
        folder = weights_folder(name)
    except UnknownNameError as error:
        raise UnknownNameError(
            "encoder",
            name,
            [*registry(), *part_names(ENCODERS)],
            "(there is no folder of that name either)",
        ) from error
    short = name if folder == cached_folder(name) else folder.resolve().name
    return NamedEncoder(_architecture(folder), short, folder)


def _architecture(folder: Path) -> EncoderPart:
    """The one part that recognises the folder's configuration."""
    path, config = _configuration(folder)
    asked: list[EncoderPart] = []
    broken: list[str] = []
    for name in part_names(ENCODERS):
        try:
            part = load_part(ENCODERS, name, EncoderPart)
        except FeatureStoreError as error:
            # Somebody else's fault, unless it is the part that is looked for.
            broken.append(str(error))
            continue
        if part.recognises is not None:
            asked.append(part)
    found = [part for part in asked if part.recognises is not None and part.recognises(config)]
    if len(found) > 1:
        whose = " and ".join(str(registered(ENCODERS, part.name)) for part in found)
        raise PartConflictError(f"{path} is recognised by {whose}; uninstall one of them")
    if not found:
        raise InvalidInputError(
            f"{path} is a configuration that none of the encoders "
            f"{', '.join(part.name for part in asked)} recognises"
            + "".join(f"; not asked: {reason}" for reason in broken)
        )
    return found[0]


def _configuration(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """Path and content of the folder's configuration, which may lie in a folder below."""
    path = folder / CONFIG
    configs = [path] if path.is_file() else sorted(folder.rglob(CONFIG))
    if not configs:
        raise InvalidInputError(
            f"{folder} holds no {CONFIG}: a folder of weights needs it beside the weights"
        )
    config = read_json(configs[0])
    if not isinstance(config, dict):
        raise InvalidInputError(f"{configs[0]} holds no JSON object: it configures no encoder")
    return configs[0], config
