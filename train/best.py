"""The recommended recipe: the commands that make its vectors, feature set and models.

Which recipe it is, was chosen by errors on validation folds alone: docs/results_training.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.catalogue import encoders, find_encoder, find_property
from featurestore.commands import Command, encoding_command
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.feature_sets import find_feature_set
from featurestore.session import Session
from featurestore.shipped_sets import find_shipped_set

RECOMMENDED = "recommended"
PREDICTOR = "ensemble"


def best_commands(session: Session, property: str, split: str, seeds: int = 3) -> list[Command]:
    """What trains the recommended recipe on a property, in order; what is there is left out.

    Parameters
    ----------
    session : Session
        Of the store.
    property, split : str
        What is to be predicted, and its folds.
    seeds : int
        Models, from seed 0; their mean predicts.

    Raises
    ------
    UnknownNameError
        If there is no such property or split.
    InvalidInputError
        If the split has no folds for the property, or fewer than one model is asked for.
    """
    if seeds < 1:
        raise InvalidInputError(f"{seeds} models cannot be trained")
    find_property(session, property)
    chosen = {"property": property, "split": split}
    folds = "SELECT structure_id FROM splits JOIN materials USING (material_id) "
    folds += "WHERE split = ? AND property = ?"
    wanted = set(session.query(folds, [split, property])["structure_id"].to_pylist())
    if not wanted:
        known = session.query(
            "SELECT DISTINCT split FROM splits WHERE property = ? ORDER BY split", [property]
        )["split"].to_pylist()
        raise UnknownNameError(f"split of {property!r}", split, known)
    commands = list(_encoding(session, wanted, chosen))
    defined = _defined(session)
    if not defined or commands:
        commands.append(("featurestore", "features", "define", RECOMMENDED))
    named = ("--property", property, "--split", split, "--feature-set", RECOMMENDED)
    return commands + [
        ("featurestore", "train", "fit", PREDICTOR, *named, "--seed", str(seed))
        for seed in range(seeds)
    ]


def _encoding(session: Session, wanted: set[str], chosen: dict[str, str]) -> Iterator[Command]:
    """What encodes the structures that lack a vector of one of the recipe's encoders."""
    known = {one.name for one in encoders(session, "structure")}
    for name in find_shipped_set(RECOMMENDED).features:
        if name not in known:
            options = [word for key, value in chosen.items() for word in (f"--{key}", value)]
            yield ("featurestore", "ingest", "embeddings", "--encoder", name, *options)
            continue
        encoder = find_encoder(session, name, "structure")
        there = session.query(
            "SELECT structure_id FROM structure_embedding_keys WHERE encoder_id = ?",
            [encoder.encoder_id],
        )["structure_id"].to_pylist()
        if not wanted.issubset(there):
            yield encoding_command(session, encoder, chosen=chosen)


def _defined(session: Session) -> bool:
    """Whether the store has the recipe's features under their name, as they are written here."""
    try:
        found = find_feature_set(session, RECOMMENDED)
    except UnknownNameError:
        return False
    return found.written == find_shipped_set(RECOMMENDED).features
