"""How far two versions of an encoder or of a generator are apart: vectors, neighbours, test errors.

Neighbour overlap follows Wendlandt et al., "Factors influencing the surprising instability of word
embeddings", NAACL 2018: the share of a vector's nearest neighbours that both versions agree on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import find_encoder, find_generator, versions_of
from featurestore.classes import classes_of
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.quoting import identifier
from featurestore.session import Session
from featurestore.tables.soundness import object_or_empty
from featurestore.vectors import Vectors

NEIGHBOURS = 10
SAMPLE = 2000


@dataclass(frozen=True)
class ErrorPair:
    """Two models that differ in nothing but the version.

    Parameters
    ----------
    property, features, split, predictor : str
        What they share.
    seed : int
        Likewise.
    mae_a, mae_b : float
        Mean absolute errors on the test fold, in ``unit``.
    unit : str
        Unit of the property.
    """

    property: str
    features: str
    split: str
    predictor: str
    seed: int
    mae_a: float
    mae_b: float
    unit: str


@dataclass(frozen=True)
class Drift:
    """How two versions compare on what both have.

    Parameters
    ----------
    a, b : str
        Ids of the versions.
    common, sampled : int
        Structures or texts that both have vectors of, and how many of them were looked at.
    cosine_mean, cosine_lowest : float or None
        Of the two vectors of each; None where their widths differ.
    norm_ratio : float
        Mean length of b's vectors over that of a's.
    neighbour_overlap : float
        Mean share of the ten nearest neighbours by cosine that both agree on.
    errors : tuple of ErrorPair
        Stored models of one and the other that are otherwise alike.
    """

    a: str
    b: str
    common: int
    sampled: int
    cosine_mean: float | None
    cosine_lowest: float | None
    norm_ratio: float
    neighbour_overlap: float
    errors: tuple[ErrorPair, ...]


def compare_versions(
    session: Session, a: str, b: str, *, text_encoder: str | None = None, seed: int = 0
) -> Drift:
    """Compare two encoders of a kind, or two generators by what an encoder makes of their texts.

    Parameters
    ----------
    a, b : str
        Ids, or names where they are unambiguous.
    text_encoder : str, optional
        For generators: whose vectors of their texts are compared.
    seed : int
        Of the sample, which is at most 2000.

    Raises
    ------
    InvalidInputError
        If they are of different kinds, or generators come without a text encoder.
    MissingDataError
        If fewer than two ids are common.
    """
    known = versions_of(session)
    ids = [_version_id(name, known) for name in (a, b)]
    kinds = [known[one][0] for one in ids]
    if kinds[0] != kinds[1]:
        raise InvalidInputError(f"{ids[0]} is a {kinds[0]}, {ids[1]} a {kinds[1]}")
    if kinds[0] == "generator":
        if text_encoder is None:
            raise InvalidInputError("generators are compared by vectors: name a --text-encoder")
        encoder = find_encoder(session, text_encoder, "text")
        encoded = set(Vectors.of(session, encoder).ids.to_pylist())
        sides = [(encoder, _full_texts(session, one, encoded)) for one in ids]
        column = "generator_id"
    else:
        kind = kinds[0].split()[0]
        found = [find_encoder(session, one, kind) for one in ids]
        sides = [
            (encoder, {one: one for one in Vectors.of(session, encoder).ids.to_pylist()})
            for encoder in found
        ]
        column = f"{kind}_encoder"
    common = sorted(sides[0][1].keys() & sides[1][1].keys())
    if len(common) < 2:
        raise MissingDataError(
            f"{ids[0]} and {ids[1]} have {len(common)} vectors in common; ingest embeddings of the "
            "same structures or texts with both"
        )
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.choice(len(common), min(SAMPLE, len(common)), replace=False))
    x, y = (
        Vectors.of(session, encoder).read([own[common[i]] for i in chosen]).astype(np.float64)
        for encoder, own in sides
    )
    lengths = [np.linalg.norm(vectors, axis=1) for vectors in (x, y)]
    cosines = None
    if x.shape == y.shape:
        cosines = np.sum(x * y, axis=1) / np.maximum(lengths[0] * lengths[1], 1e-30)
    return Drift(
        a=ids[0],
        b=ids[1],
        common=len(common),
        sampled=len(chosen),
        cosine_mean=None if cosines is None else float(cosines.mean()),
        cosine_lowest=None if cosines is None else float(cosines.min()),
        norm_ratio=float(lengths[1].mean() / max(lengths[0].mean(), 1e-30)),
        neighbour_overlap=neighbour_overlap(x, y),
        errors=_errors(session, column, *ids),
    )


def neighbour_overlap(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Mean share of common nearest neighbours by cosine, of rows x (n, p) and y (n, q)."""
    k = min(NEIGHBOURS, len(x) - 1)
    near = [_nearest(vectors, k) for vectors in (x, y)]
    shared = [len(set(one) & set(other)) / k for one, other in zip(*near, strict=True)]
    return float(np.mean(shared))


def _nearest(vectors: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.intp]:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    closeness = unit @ unit.T
    np.fill_diagonal(closeness, -np.inf)
    return np.argpartition(-closeness, k - 1, axis=1)[:, :k]


def _version_id(name: str, known: dict[str, tuple[str, str]]) -> str:
    named = [one for one, (_, own_name) in known.items() if own_name == name]
    if name in known:
        return name
    if len(named) != 1:
        raise InvalidInputError(
            f"{name!r} is no id of an encoder or generator; known: {', '.join(sorted(known))}"
        )
    return named[0]


def _full_texts(session: Session, generator: str, encoded: set[str]) -> dict[str, str]:
    """The text_id of each structure's full description, as far as it is encoded."""
    rows = session.query(
        "SELECT structure_id, text_id FROM full_texts WHERE generator_id = ?",
        [find_generator(session, generator).generator_id],
    ).to_pylist()
    return {row["structure_id"]: row["text_id"] for row in rows if row["text_id"] in encoded}


def _errors(session: Session, column: str, a: str, b: str) -> tuple[ErrorPair, ...]:
    alike = [
        name for name in ("generator_id", "structure_encoder", "text_encoder") if name != column
    ]
    same = " AND ".join(
        f"a.{identifier(name)} IS NOT DISTINCT FROM b.{identifier(name)}"
        for name in (
            *("predictor", "property", "features", "variant", "split", "seed", "settings"),
            *alike,
        )
    )
    rows = session.query(
        "SELECT a.property, a.features, a.split, a.predictor, a.seed, a.unit, "
        "a.metrics AS metrics_a, b.metrics AS metrics_b "
        f"FROM models a JOIN models b ON {same} "
        f"WHERE a.{identifier(column)} = ? AND b.{identifier(column)} = ? "
        "ORDER BY a.property, a.features, a.split, a.predictor, a.seed",
        [a, b],
    ).to_pylist()
    pairs = []
    for row in rows:
        # of classes the error is the Brier score, and its name stands in place of the unit
        error = "brier" if classes_of(row["unit"]) else "mae"
        maes = [
            object_or_empty(row[f"metrics_{side}"]).get("folds", {}).get("test", {}).get(error)
            for side in "ab"
        ]
        row["unit"] = "Brier score" if error == "brier" else row["unit"]
        if None not in maes:
            names = ("property", "features", "split", "predictor", "seed", "unit")
            shared = {name: row[name] for name in names}
            pairs.append(ErrorPair(mae_a=maes[0], mae_b=maes[1], **shared))
    return tuple(pairs)
