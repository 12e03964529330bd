"""Forecasts as rows of the store, and how well past ones have done since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.quoting import SQL
from featurestore.store import FeatureStore
from train.forecasts.forecast import Forecast
from train.forecasts.group import LoadedGroup

# Of materials that had no value, with those that have come since from one source, or from any.
_WITH_VALUES = SQL(
    """
    forecasts f LEFT JOIN (
        SELECT material_id, property, value FROM properties WHERE source = coalesce($2, source)
    ) p USING (material_id, property)
    WHERE NOT f.had_target AND f.property = coalesce($1, f.property)
    """
)

# The Brier score is that of `train.tasks.class_metrics.brier_scores`.
_OF_CLASSES = SQL(
    f"""
    SELECT f.property, f.group_id, count(p.value) AS n, count(*) - count(p.value) AS waiting,
           avg((f.prediction = p.value)::INT) AS accuracy,
           avg((list_sum(list_transform(f.probabilities, lambda x: x * x))
                - 2 * f.probabilities[CAST(p.value AS BIGINT) + 1] + 1)
               / CASE len(f.probabilities) WHEN 2 THEN 2 ELSE 1 END) AS brier,
           avg(list_contains(f.class_set, class_name(p.value, f.unit))::INT) AS covered,
           avg(len(f.class_set)) FILTER (WHERE p.value IS NOT NULL) AS mean_set_size,
           any_value(f.unit) AS unit, min(f.created_at) AS first, max(f.created_at) AS last
    FROM {_WITH_VALUES}
      AND f.probabilities IS NOT NULL
    GROUP BY f.property, f.group_id ORDER BY f.property, first, f.group_id
    """
)


def store_forecasts(
    store: FeatureStore, groups: Sequence[LoadedGroup], forecasts: Sequence[Forecast]
) -> int:
    """Store forecasts; one by the same models from the same inputs is there already and stands.

    Returns
    -------
    int
        How many are new.
    """
    if not forecasts:
        return 0
    by_id = {group.group_id: group for group in groups}
    arguments = {
        "models": [one for group in groups for one in group.stored.model_ids],
        "materials": len({row.material_id for row in forecasts}),
    }
    with store.run("predict", arguments) as run:
        shared = {"created_at": datetime.now(UTC), "run_id": run.run_id}
        rows = [
            {
                "material_id": row.material_id,
                "group_id": row.group_id,
                "inputs_sha256": row.inputs_sha256,
                "structure_id": row.structure_id,
                "property": row.property,
                "unit": row.unit,
                "view_fingerprint": by_id[row.group_id].stored.first.view_fingerprint,
                "model_ids": list(row.model_ids),
                "inputs": [str(part) for part in by_id[row.group_id].parameters.parts],
                "prediction": row.prediction,
                "std": row.std,
                "lower": row.lower,
                "upper": row.upper,
                "of_seeds": list(row.of_seeds),
                "calibration": row.calibration,
                "distance": row.distance,
                "percentile": row.percentile,
                "nearest": [name for name, _ in row.nearest],
                "unseen": list(row.unseen),
                "had_target": row.had_target,
                "probabilities": list(row.probabilities) if row.classes else None,
                "class_set": None if row.class_set is None else list(row.class_set),
                **shared,
            }
            for row in forecasts
        ]
        written = store.merge_rows("forecasts", rows)
        run.counts = {"written": written.written, "present": written.present}
    return written.written


def score_forecasts(
    store: FeatureStore, property: str | None = None, property_source: str | None = None
) -> pa.Table:
    """Errors and coverage of forecasts of materials whose target came later.

    Parameters
    ----------
    store : FeatureStore
        Read.
    property : str, optional
        Of this property alone.
    property_source : str, optional
        Where the targets come from; needed where a material has targets of several sources.

    Returns
    -------
    pyarrow.Table
        For each property and group of models: ``n`` targets that came, ``waiting`` forecasts
        without one, ``mae``, ``rmse``, ``bias`` (mean of prediction less target), ``covered``
        (share of the targets in the 90 % intervals), ``with_interval`` (of how many),
        ``mean_width``, ``unit``, and ``first`` and ``last`` time of the forecasts. Of properties of
        classes, where there are any, ``accuracy``, ``brier``, ``covered`` (by the sets) and
        ``mean_set_size``.

    Raises
    ------
    MissingDataError
        If there is no forecast.
    InvalidInputError
        If a material has targets of several sources and none is named, or one of another unit.
    UnknownNameError
        If no target is of the source.
    """
    with store.session() as session:
        told = session.query(
            "SELECT count(*) AS n FROM forecasts WHERE property = coalesce(?, property)", [property]
        )["n"][0].as_py()
        if not told:
            raise MissingDataError(
                "the store has no forecasts"
                + (f" of {property!r}" if property else "")
                + "; make some with: featurestore predict FILES"
            )
        if property_source is not None:
            sources = session.query(
                "SELECT DISTINCT source FROM properties WHERE property = coalesce(?, property) "
                "ORDER BY source",
                [property],
            )["source"].to_pylist()
            if property_source not in sources:
                raise UnknownNameError("source of targets", property_source, sources)
        twice = session.query(
            """
            SELECT f.material_id, f.property, list(DISTINCT p.source ORDER BY p.source) AS sources
            FROM forecasts f JOIN properties p USING (material_id, property)
            WHERE NOT f.had_target AND f.property = coalesce($1, f.property)
              AND p.source = coalesce($2, p.source)
            GROUP BY ALL HAVING len(sources) > 1 ORDER BY ALL LIMIT 1
            """,
            [property, property_source],
        ).to_pylist()
        if twice:
            row = twice[0]
            raise InvalidInputError(
                f"the target {row['property']} of material {row['material_id']!r} turns up "
                f"{len(row['sources'])} times, from {', '.join(map(repr, row['sources']))}: choose "
                "one with --property-source"
            )
        other = session.query(
            """
            SELECT f.material_id, f.property, f.unit, p.unit AS given
            FROM forecasts f JOIN properties p USING (material_id, property)
            WHERE NOT f.had_target AND f.property = coalesce($1, f.property)
              AND p.source = coalesce($2, p.source) AND p.unit <> f.unit ORDER BY ALL LIMIT 1
            """,
            [property, property_source],
        ).to_pylist()
        if other:
            row = other[0]
            raise InvalidInputError(
                f"the target {row['property']} of material {row['material_id']!r} is in "
                f"{row['given']}, its forecast in {row['unit']}: choose a source in that unit with "
                "--property-source"
            )
        numbers = session.query(
            f"""
            SELECT f.property, f.group_id, count(p.value) AS n,
                   count(*) - count(p.value) AS waiting,
                   avg(abs(f.prediction - p.value)) AS mae,
                   sqrt(avg((f.prediction - p.value) ** 2)) AS rmse,
                   avg(f.prediction - p.value) AS bias,
                   avg((p.value BETWEEN f.lower AND f.upper)::INT)
                       FILTER (WHERE f.lower IS NOT NULL AND p.value IS NOT NULL) AS covered,
                   count(*) FILTER (WHERE f.lower IS NOT NULL AND p.value IS NOT NULL)
                       AS with_interval,
                   avg(f.upper - f.lower) FILTER (WHERE p.value IS NOT NULL) AS mean_width,
                   any_value(f.unit) AS unit, min(f.created_at) AS first, max(f.created_at) AS last
            FROM {_WITH_VALUES}
              AND f.probabilities IS NULL
            GROUP BY f.property, f.group_id ORDER BY f.property, first, f.group_id
            """,
            [property, property_source],
        )
        classes = session.query(_OF_CLASSES, [property, property_source])
    if not classes.num_rows:
        return numbers
    if not numbers.num_rows:
        return classes
    return pa.concat_tables([numbers, classes], promote_options="default")
