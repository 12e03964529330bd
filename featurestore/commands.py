"""The one maker of next commands: what makes missing texts and vectors, with every setting.

A command that leaves out a setting makes another encoder, and the gap stays. The settings are those
of the run that first made an encoder or generator; where there is no such run, those of the
fingerprint that are options of the command.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from featurestore.catalogue import Encoder, Generator
from featurestore.errors import FeatureStoreError
from featurestore.plugins import Setting
from featurestore.quoting import SQL
from featurestore.session import Session
from featurestore.tables.soundness import object_or_empty
from featurestore.texts.shorthands import shortened

if TYPE_CHECKING:
    from featurestore.views.parameters import ViewParameters

Command = tuple[str, ...]

_PROGRAM = "featurestore"
# The options that decide which version is made, with the value that need not be repeated.
_ENCODING = {
    "precision": "float32",
    "device": "cpu",
    "layer": None,
    "backend": None,
    "pooling": None,
    "max_tokens": None,
}
_DESCRIBING = {"oxidation_states": "none"}
# What the fingerprint of an encoder says where its options were left out.
_USUAL_PARTS = {"pooling": "mean", "max_tokens": 512, "layer": "last", "backend": "torch"}


def encoding_command(
    session: Session,
    encoder: Encoder,
    source: str | None = None,
    variants: Iterable[str] = (),
    chosen: Mapping[str, str] | None = None,
) -> Command:
    """What makes vectors of an encoder, with all its settings.

    Parameters
    ----------
    session : Session
        Where the runs are recorded.
    encoder : Encoder
        Of structures or texts.
    source : str, optional
        The text source of an encoder of texts; by default the first that it has read.
    variants : iterable of str
        Of the texts; ``full`` need not be said. Single words and sentences become shorthands.
    chosen : mapping of str to str, optional
        Further options by name, as ``{"property": "mbj_bandgap", "split": "paper"}``.
    """
    made = _arguments(session, SQL("encoders"), SQL("encoder_id"), encoder.encoder_id)
    if encoder.from_file:
        return _reading_command(encoder, made)
    if encoder.kind == "text" and source is None:
        source = made.get("source")
    given: dict[str, Any] = {"encoder": made.get("encoder", encoder.name), "text": source}
    settings = _settings_of(encoder) if "encoder" not in made else made
    given |= {name: settings.get(name) for name in _ENCODING} | {"set": settings.get("settings")}
    named = [variant for variant in shortened(variants) if variant != "full"]
    given |= {"variant": ["full", *named] if "full" in variants and named else named}
    return _command("embeddings", given, _ENCODING, chosen)


def _reading_command(encoder: Encoder, made: Mapping[str, Any]) -> Command:
    """What reads vectors from a file again, once the file has those that are missing."""
    words = [_PROGRAM, "ingest", "vectors", str(made.get("file", "FILE")), "--name", encoder.name]
    for name in ("column", "trained_on", "licence"):
        if name in made:
            words += [f"--{name.replace('_', '-')}", str(made[name])]
    return tuple(words)


def describing_command(
    session: Session, generator: Generator, chosen: Mapping[str, str] | None = None
) -> Command:
    """What makes texts of a generator, with all its settings; parameters as `encoding_command`."""
    made = _arguments(session, SQL("generators"), SQL("generator_id"), generator.generator_id)
    given = {"text": generator.source} | {name: made.get(name) for name in _DESCRIBING}
    given |= {"set": made.get("settings")}
    return _command("text", given, _DESCRIBING, chosen)


def extending_command(split: str, property: str) -> Command:
    """What adds new materials to a split or cross-validation for one property, or all (``*``)."""
    return (_PROGRAM, "ingest", "splits", "--extend", split, "--property", property)


def training_command(
    parameters: ViewParameters,
    predictor: str,
    settings: Mapping[str, Any],
    seed: int,
    property_source: str | None = None,
    how: str = "fit",
) -> Command:
    """What trains a predictor on a view as it is now, with every setting.

    Parameters
    ----------
    parameters : ViewParameters
        Of the view, with a split.
    predictor, settings, seed : str, mapping, int
        The predictor, its settings other than the defaults, and the seed.
    property_source : str, optional
        Where the targets have several sources and no rule takes them together.
    how : {"fit", "final"}
        On the view, or on all rows of a cross-validation, whose name is then the view's split.
    """
    p = parameters
    given: dict[str, Any] = {"property": p.property, "split": p.split}
    given |= {"property-source": property_source, "where": p.where}
    if p.feature_set is not None:
        given["feature-set"] = p.feature_set
    elif p.inputs:
        given["feature"] = list(p.inputs)
    else:
        given |= {"structure-encoder": p.structure_encoder, "text": p.generator_id}
        given |= {"text-encoder": p.text_encoder}
        given |= {"variant": p.variant if p.variant != "full" else None}
    given |= {"set": [f"{name}={Setting.written(value)}" for name, value in settings.items()]}
    given |= {"seed": seed}
    words = [_PROGRAM, "train", how, predictor]
    for name, value in given.items():
        for item in value if isinstance(value, list) else [value]:
            words += [] if item is None else [f"--{name}", str(item)]
    return tuple(words)


def run(command: Command) -> None:
    """Run a command in this process, as a user would: the store's room imports no other.

    Raises
    ------
    FeatureStoreError
        As the command does, or if it ends with another status than 0.
    """
    from featurestore.cli import root

    if root.main(list(command[1:]), prog_name=_PROGRAM, standalone_mode=False):
        raise FeatureStoreError(f"this command did not succeed, see above: {shown(command)}")


def shown(command: Command) -> str:
    """A command as it is typed."""
    return shlex.join(command)


def _command(
    stage: str,
    given: Mapping[str, Any],
    usual: Mapping[str, Any],
    chosen: Mapping[str, str] | None,
) -> Command:
    words = [_PROGRAM, "ingest", stage]
    for name, value in {**given, **(chosen or {})}.items():
        if value is None or (name in usual and value == usual[name]):
            continue
        for item in value if isinstance(value, list) else [value]:
            words += [f"--{name.replace('_', '-')}", str(item)]
    return tuple(words)


def _arguments(session: Session, table: SQL, key: SQL, content_id: str) -> dict[str, Any]:
    """The arguments of the run that first made an encoder or generator; empty where unknown."""
    rows = session.query(
        f"SELECT arguments FROM {table} JOIN runs USING (run_id) WHERE {key} = ?", [content_id]
    )["arguments"].to_pylist()
    return object_or_empty(rows[0]) if rows else {}


def _settings_of(encoder: Encoder) -> dict[str, Any]:
    """The options that make an encoder of this fingerprint."""
    recorded = encoder.fingerprint.get("settings")
    if isinstance(recorded, dict):
        return {
            "settings": [f"{name}={Setting.written(value)}" for name, value in recorded.items()]
        }
    parts = {name: encoder.fingerprint.get(name) for name in _ENCODING}
    if parts["layer"] == encoder.fingerprint.get("architecture", {}).get("num_hidden_layers"):
        parts["layer"] = None
    return {name: value for name, value in parts.items() if value != _USUAL_PARTS.get(name)}
