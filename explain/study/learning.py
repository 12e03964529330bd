"""Trains what ``[training.NAME]`` asks for, and keeps its numbers and its figure."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from explain.study.making import Output, Workshop
from explain.study.schema import StudyError
from explain.study.steps import Step
from featurestore.errors import MissingDataError
from featurestore.output.names import file_name
from featurestore.output.rows import write_table


def make_training(shop: Workshop, step: Step) -> Output:
    """Train every combination that the store lacks, and compare all on the same materials."""
    import train
    from train.benchmark.figure import write_benchmark_figure

    said = step.said
    sets = {name: shop.made("features", name)["feature_set"] for name in said["features"]}
    names, settings = _predictors(shop, step)
    properties, notes = _properties(shop, step)
    jobs = {"jobs": said["jobs"]} if "jobs" in said else {}
    found = train.compare(
        shop.store,
        properties,
        said["split"],
        feature_sets=list(sets.values()),
        reference=sets.get(said.get("reference", said["features"][0])),
        predictors=list(names),
        seeds=said.get("seeds", 1),
        settings=settings,
        where=said.get("where"),
        **jobs,
    )
    failed = [f"{cell}: {failure.message}" for cell, failure in found.failures.items()]
    if not found.rows:
        raise MissingDataError("no model could be trained: " + "; ".join(failed[:3]))
    shop.say(f"{found.trained} models trained, {found.found} were there")
    entries = {stored: name for name, stored in sets.items()}
    groups: list[dict[str, Any]] = [
        {
            "property": row.cell.request.property,
            "features": entries.get(row.features),
            "predictor": names[row.cell.predictor],
            "models": [model.model_id for model in row.models],
        }
        for row in found.rows
    ]
    table = found.table
    called = [
        group["features"] or features
        for features, group in zip(table["features"].to_pylist(), groups, strict=True)
    ]
    place = table.schema.get_field_index("features")
    table = table.set_column(place, "features", pa.array(called, pa.string()))
    figure, *numbers = (
        file_name("training", step.entry, suffix=suffix) for suffix in (".png", ".json", ".csv")
    )
    write_benchmark_figure(found.rows, shop.folder / figure)
    for name in numbers:
        write_table(table, shop.folder / name)
    return Output(
        {
            "models": [model for group in groups for model in group["models"]],
            "groups": groups,
            "fingerprints": sorted(
                {model.view_fingerprint for row in found.rows for model in row.models}
            ),
        },
        files=[*numbers, *([figure] if (shop.folder / figure).is_file() else [])],
        notes=[*notes, *found.notes, *failed],
    )


def _predictors(shop: Workshop, step: Step) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """For each predictor the entry that names it, and its settings."""
    names: dict[str, str] = {}
    settings: dict[str, dict[str, Any]] = {}
    for entry in step.said["predictors"]:
        said = shop.study.entries("predictors")[entry]
        name = said.get("predictor", entry)
        if name in names:
            raise StudyError(
                f"predictors: {names[name]!r} and {entry!r} are the same predictor {name!r} with "
                "other settings: give each a [training.NAME] of its own"
            )
        names[name] = entry
        if said.get("settings"):
            settings[name] = dict(said["settings"])
    return names, settings


def _properties(shop: Workshop, step: Step) -> tuple[list[str], list[str]]:
    """The properties that are trained, and what is said about the others."""
    asked, split = list(step.said["properties"]), step.said["split"]
    if step.said.get("lacking") != "note":
        return asked, []
    with shop.store.session() as session:
        rows = session.query(
            "SELECT DISTINCT p.property FROM properties p JOIN splits s USING (material_id) "
            "WHERE s.split = ? AND s.property IN (p.property, '*')",
            [split],
        )["property"].to_pylist()
    there = [name for name in asked if name in rows]
    if not there:
        raise MissingDataError(
            f"none of {', '.join(asked)} has targets and folds in the split {split!r}"
        )
    return there, [f"no targets with folds for {name}" for name in asked if name not in rows]
