"""How two states of a store, or two versions of an encoder, differ: counts, ranges and means."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from featurestore.catalogue import encoders
from featurestore.history.drift import compare_versions
from featurestore.quality.finding import CHANGE, QualityFinding
from featurestore.session import Session
from featurestore.vectors import Vectors

# Sums are added in another order each time.
_NOISE = 1e-9
_Measures = dict[tuple[str, str], float]


def check_versions(
    session: Session, a: str, b: str, text_encoder: str | None = None
) -> Iterator[QualityFinding]:
    """How far two versions of an encoder or generator are apart; see `drift.compare_versions`."""
    drift = compare_versions(session, a, b, text_encoder=text_encoder)
    subject = f"{drift.a} → {drift.b}"
    note = f"on {drift.sampled:,} of {drift.common:,} common contents"
    measures = {
        "mean cosine": (drift.cosine_mean, 1.0),
        "lowest cosine": (drift.cosine_lowest, 1.0),
        "ratio of the norms": (drift.norm_ratio, 1.0),
        "overlap of the ten nearest neighbours": (drift.neighbour_overlap, 1.0),
    }
    for item, (value, reference) in measures.items():
        if value is not None:  # versions of other widths have no cosine
            yield QualityFinding(
                level=CHANGE,
                check="version drift",
                subject=subject,
                item=item,
                value=value,
                reference=reference,
                note=note,
            )
    for pair in drift.errors:
        item = f"test MAE, {pair.property}, {pair.features}, {pair.split}, seed {pair.seed}"
        yield QualityFinding(
            level=CHANGE,
            check="version drift",
            subject=subject,
            item=item,
            value=pair.mae_b,
            reference=pair.mae_a,
            note=f"{pair.unit}, was",
        )


def check_since(before: Session, now: Session, when: str) -> Iterator[QualityFinding]:
    """Counts, ranges and means of properties and vectors that differ between two states.

    Vectors enter with their number and the mean, smallest and largest of their norms; those that
    are not finite count, but not in the norms.
    """
    earlier, later = _measured(before), _measured(now)
    for subject, item in sorted(earlier.keys() | later.keys()):
        was, value = earlier.get((subject, item)), later.get((subject, item))
        if was is None or value is None or not math.isclose(was, value, rel_tol=_NOISE):
            note = f"at {when} it was the reference"
            yield QualityFinding(
                level=CHANGE,
                check="changed",
                subject=subject,
                item=item,
                value=value,
                reference=was,
                note=note,
            )


def _measured(session: Session) -> _Measures:
    measures: _Measures = {}
    for sql in (
        "SELECT 'materials' AS subject, count(*) AS count FROM materials",
        "SELECT property || ' (' || source || ')' AS subject, count(*) AS count, "
        "min(value) AS lowest, avg(value) AS mean, max(value) AS highest "
        "FROM properties GROUP BY property, source",
        "SELECT generator_id AS subject, count(*) AS sentences, "
        "count(DISTINCT structure_id) AS structures FROM sentences GROUP BY generator_id",
    ):
        for row in session.query(sql).to_pylist():
            subject = row.pop("subject")
            measures |= {(subject, item): float(value) for item, value in row.items()}
    for encoder in encoders(session):
        count, norms = 0, []
        for ids, vectors in Vectors.of(session, encoder).batches():
            count += len(ids)
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
            norms.append(lengths[np.isfinite(lengths)])
        measures[encoder.encoder_id, "count"] = float(count)
        lengths = np.concatenate(norms) if norms else np.empty(0)
        if len(lengths):
            measures |= {
                (encoder.encoder_id, "lowest norm"): float(lengths.min()),
                (encoder.encoder_id, "mean norm"): float(lengths.mean()),
                (encoder.encoder_id, "highest norm"): float(lengths.max()),
            }
    return measures
