"""Encoders ready for use: by name and settings, or like one whose vectors are stored."""

from __future__ import annotations

from typing import Any

from featurestore.catalogue import Encoder
from featurestore.errors import InvalidInputError
from featurestore.identity import canonical_json, fingerprint
from ingest.encoders.base import StructureEncoder, TextEncoder
from ingest.encoders.registry import named_encoder


class OtherEncoderError(InvalidInputError):
    """What is installed makes other vectors than those that are stored.

    Parameters
    ----------
    message : str
        For people.
    stored, found : dict
        The two fingerprints.
    """

    def __init__(self, message: str, stored: dict[str, Any], found: dict[str, Any]) -> None:
        super().__init__(message)
        self.stored, self.found = stored, found


def load_encoder(name: str, /, **settings: Any) -> StructureEncoder | TextEncoder:
    """An encoder by its name, of pulled weights, or of a folder of weights.

    Parameters
    ----------
    name : str
        Of a registered encoder (``matminer``, ``chgnet``, one that a package adds), of pulled
        weights, or a folder with ``config.json`` and weights; a folder's name becomes the
        encoder's.
    **settings
        Other than the defaults; ``featurestore parts encoders NAME`` lists them. Of ALIGNN:
        ``precision``, ``device``, ``layer``, ``backend``; of the BERT family: ``precision``,
        ``device``, ``layer``, ``pooling``, ``max_tokens``, ``special_tokens``.

    Raises
    ------
    MissingDataError
        If the weights are known but not pulled, or a package is not installed; the message names
        the command.
    UnknownNameError
        If there is no such encoder, or it has no such setting.
    InvalidInputError
        If no encoder recognises the folder's configuration, or a setting does not suit.
    PartImportError, PartConflictError, NotAPartError
        If the package that adds the encoder is at fault.
    """
    return named_encoder(name).load(settings)


def load_like(encoder: Encoder, weights: str | None = None) -> StructureEncoder | TextEncoder:
    """The encoder that made stored vectors, so that new ones can be compared with them.

    Parameters
    ----------
    encoder : Encoder
        As it is registered; its settings are those of its fingerprint.
    weights : str, optional
        Name or folder of its weights; default: its own name.

    Raises
    ------
    OtherEncoderError
        If what is installed or named gives another encoder, whose vectors could not be compared.
    InvalidInputError
        If the vectors came from a file.
    MissingDataError, UnknownNameError
        If there is no such encoder, or its weights are not pulled.
    """
    stored = encoder.fingerprint
    if encoder.from_file:
        raise InvalidInputError(
            f"the vectors of {encoder.encoder_id} came from a file (featurestore ingest vectors): "
            "there is no encoder for anything new; add its vectors to the file and read it again"
        )
    named = named_encoder(weights or encoder.name)
    loaded = named.load(named.part.settings_in(stored))
    found = dict(loaded.spec.fingerprint)
    # The name is no part of what makes a vector: the folder may be called anything.
    if fingerprint(found) != fingerprint(stored):
        other = "the weights it was made from with --weights" if named.folder else "its versions"
        raise OtherEncoderError(
            f"{weights or encoder.name!r} makes {loaded.spec.encoder_id}, not "
            f"{encoder.encoder_id}, whose vectors are stored: the two cannot be compared. They "
            f"differ in {', '.join(_differences(stored, found))}. Take {other}, or another "
            "--encoder",
            stored,
            found,
        )
    return loaded


def _differences(stored: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The names of what differs."""
    return [
        name
        for name in sorted(stored.keys() | found.keys())
        if name not in stored
        or name not in found
        or canonical_json(stored[name]) != canonical_json(found[name])
    ]
