"""What explanations lack: one error for all of it, and one way to have it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from explain.erasing.predictions import Explained
from featurestore.catalogue import find_encoder
from featurestore.commands import Command, encoding_command
from featurestore.errors import MissingContentError
from featurestore.session import Session
from featurestore.vectors import Vectors
from featurestore.views.features import VectorFeature

Result = TypeVar("Result")


def made_where_missing(
    measure: Callable[[], Result], encode: Callable[[Command], None] | None
) -> Result:
    """Measure; where texts or vectors are missing, have them made and measure again.

    Parameters
    ----------
    measure : callable
        Raises `MissingContentError` where something is missing.
    encode : callable or None
        Runs one of the error's commands, and raises if it does not succeed; with None the error
        is passed on.
    """
    try:
        return measure()
    except MissingContentError as missing:
        if encode is None:
            raise
        for command in missing.commands:
            encode(command)
    return measure()


def check_vectors(
    session: Session, groups: Sequence[tuple[Explained, Mapping[str, str]]], uri: str
) -> None:
    """Raise one error for all groups, with every command that has to be run.

    Parameters
    ----------
    session : Session
        Where the vectors are.
    groups : sequence of (Explained, mapping of str to str)
        With what stands for each variant in a command, a shorthand or the variant itself.
    uri : str
        Of the store.

    Raises
    ------
    MissingContentError
        If a text or a structure has no vector.
    UnknownNameError
        If an encoder is gone.
    """
    problems: list[str] = []
    commands: list[Command] = []
    for group, shorthands in groups:
        for feature in group.models.parameters.vectors:
            if feature.kind == "structure":
                _check_structures(session, group, feature, uri, problems, commands)
        text = group.text
        stored = Vectors.of(session, text.encoder)
        absent = set(stored.missing([one for texts in group.text_ids.values() for one in texts]))
        lacking = {
            variant: count
            for variant, texts in group.text_ids.items()
            if (count := sum(one in absent for one in texts))
        }
        if lacking:
            asked = dict.fromkeys(shorthands.get(variant, variant) for variant in lacking)
            some = [f"{count} for {variant!r}" for variant, count in list(lacking.items())[:4]]
            more = f", … of {len(lacking)} variants" if len(lacking) > 4 else ""
            source = text.generator.source
            problems.append(
                f"{text.encoder.encoder_id} vectors of {len(absent)} {source} texts are missing "
                f"({', '.join(some)}{more}; of {len(group.material_ids)} materials)"
            )
            commands.append(
                encoding_command(session, text.encoder, source, asked, _chosen(group, uri))
            )
    if problems:
        raise MissingContentError("; ".join(dict.fromkeys(problems)), commands)


def _check_structures(
    session: Session,
    group: Explained,
    feature: VectorFeature,
    uri: str,
    problems: list[str],
    commands: list[Command],
) -> None:
    encoder = find_encoder(session, feature.encoder_id, "structure")
    rows = session.query(
        "SELECT material_id, structure_id FROM materials WHERE list_contains(?, material_id) "
        "ORDER BY material_id",
        [list(group.material_ids)],
    ).to_pylist()
    absent = set(Vectors.of(session, encoder).missing([row["structure_id"] for row in rows]))
    lacking = [row["material_id"] for row in rows if row["structure_id"] in absent]
    if lacking:
        problems.append(
            f"{encoder.encoder_id} vectors of {len(lacking)} structures are missing, for example "
            f"of {lacking[0]}"
        )
        commands.append(encoding_command(session, encoder, chosen=_chosen(group, uri)))


def _chosen(group: Explained, uri: str) -> dict[str, str]:
    """The options that choose the materials of a group, and no others."""
    p = group.models.parameters
    fold = {} if group.fold is None else {"fold": group.fold}
    return {"property": p.property, "split": str(p.split), **fold, "store": uri}
