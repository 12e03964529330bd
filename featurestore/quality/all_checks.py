"""Every check of one state of a store, in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from featurestore.catalogue import Encoder, encoders
from featurestore.errors import UnknownNameError
from featurestore.quality.finding import QualityFinding
from featurestore.quality.outliers import DEFAULT_LIMIT, TrainingFold, check_outliers
from featurestore.quality.reading import check_reading
from featurestore.quality.targets import check_targets
from featurestore.quality.vectors import check_vectors
from featurestore.registry import PropertyRegistry
from featurestore.session import Session


def check_quality(
    session: Session,
    registry: PropertyRegistry,
    *,
    only: Sequence[str] = (),
    fold: TrainingFold | None = None,
    outlier_limit: float = DEFAULT_LIMIT,
) -> Iterator[QualityFinding]:
    """What is wrong or odd about vectors, targets and the reading of structures.

    Parameters
    ----------
    registry : PropertyRegistry
        Plausible ranges.
    only : sequence of str
        Only the vectors of these encoders, by id or name; no targets then.
    fold : TrainingFold, optional
        What outliers are measured against; all vectors by default.
    outlier_limit : float
        See `check_outliers`.

    Raises
    ------
    UnknownNameError
        If an encoder or the split is not in the store.
    MissingDataError
        If the split is not for this property.
    """
    for encoder in _chosen(encoders(session), only):
        found = [
            *check_vectors(session, encoder),
            *check_outliers(session, encoder, fold, outlier_limit),
        ]
        if found:
            materials = _materials(session, encoder)
            yield from (replace(one, material_id=materials.get(one.item)) for one in found)
    if not only:
        yield from check_reading(session)
        yield from check_targets(session, registry)


def _chosen(known: Sequence[Encoder], only: Sequence[str]) -> list[Encoder]:
    for name in only:
        names = {word for encoder in known for word in (encoder.encoder_id, encoder.name)}
        if name not in names:
            raise UnknownNameError("encoder", name, names)
    return [
        encoder for encoder in known if not only or {encoder.encoder_id, encoder.name} & set(only)
    ]


def _materials(session: Session, encoder: Encoder) -> dict[str, str]:
    """A material of each structure or full text."""
    of = (
        "materials"
        if encoder.kind == "structure"
        else "full_texts JOIN materials USING (structure_id)"
    )
    key = "structure_id" if encoder.kind == "structure" else "text_id"
    rows = session.query(f"SELECT {key}, min(material_id) AS material_id FROM {of} GROUP BY {key}")
    return dict(zip(rows[key].to_pylist(), rows["material_id"].to_pylist(), strict=True))
