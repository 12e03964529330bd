"""A model's card: what it is, was trained on, reaches, and must not be used for.

The sections are those of Mitchell et al., Model Cards for Model Reporting, FAT* 2019, 220, as far
as the store knows what goes into them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import find_encoder
from featurestore.classes import shown_unit
from featurestore.output.markdown import plain
from featurestore.session import Session
from featurestore.session_tables import PROMOTED
from featurestore.store import FeatureStore
from train.analysis.predictions import fold_errors
from train.analysis.resampling import mean_estimates
from train.display.rounding import deterministic, rounded
from train.forecasts.calibration import FEWEST_ROWS
from train.forecasts.chosen import named_group
from train.forecasts.coverage import coverage_of_test_fold
from train.forecasts.group import LoadedGroup, load_group
from train.models import SeedGroup
from train.source_tasks import source_warnings
from train.tasks.choose import task_of
from train.tasks.columns import measured_of

_FEWEST_TEST_MATERIALS = 30


def model_card(store: FeatureStore, name: str) -> dict[str, Any]:
    """Everything on the card as JSON values.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is no such model, or it does not load.
    """
    with store.session() as session:
        group = named_group(session, name)
    loaded = load_group(store, group)
    coverage = coverage_of_test_fold(store, loaded)
    with store.session() as session:
        imported = bool(
            session.query(
                "SELECT 1 FROM imported_models WHERE model_id = ?", [group.first.model_id]
            ).num_rows
        )
        standings = session.standings()
        return {
            "group": loaded.group_id,
            "models": group.model_ids,
            "standing": PROMOTED
            if all(standings.get(one) == PROMOTED for one in group.model_ids)
            else standings.get(group.first.model_id, "in use"),
            "imported": imported,
            "is": _what(group),
            "features": _features(session, group),
            "trained_on": _training(session, loaded),
            "reaches": _reach(loaded),
            "errors": _errors(session, group),
            "intervals": _intervals(loaded) | {"test_fold": coverage.to_pylist()},
            "must_not_be_used_for": _limits(session, loaded),
        }


def _what(group: SeedGroup) -> dict[str, Any]:
    p = group.parameters
    return {
        "property": p.property,
        "unit": p.unit,
        **({"classes": list(p.classes)} if p.classes else {}),
        "predictor": group.first.predictor,
        "settings": group.first.settings,
        "seeds": list(group.seeds),
        "view_fingerprint": group.first.view_fingerprint,
    }


def _features(session: Session, group: SeedGroup) -> list[dict[str, Any]]:
    found = []
    for part in group.parameters.parts:
        said: dict[str, Any] = {"feature": str(part)}
        encoder_id = getattr(part, "encoder_id", None)
        if encoder_id is not None:
            said["fingerprint"] = find_encoder(session, encoder_id, part.kind).fingerprint
            generator = getattr(part, "generator_id", None)
            if generator is not None:
                rows = session.query(
                    "SELECT fingerprint FROM generators WHERE generator_id = ?", [generator]
                )["fingerprint"].to_pylist()
                said["generator_fingerprint"] = json.loads(rows[0]) if rows else None
        found.append(said)
    return found


def _training(session: Session, group: LoadedGroup) -> dict[str, Any]:
    p, targets = group.parameters, group.knowledge.domain.targets
    datasets = session.query(
        "SELECT dataset, count(*) AS n FROM materials WHERE material_id IN "
        "(SELECT unnest(?::VARCHAR[])) GROUP BY dataset ORDER BY n DESC, dataset",
        [list(group.knowledge.domain.material_ids)],
    ).to_pylist()
    return {
        "source_of_targets": p.property_source,
        "split": p.split,
        "only_where": p.where,
        "datasets": {row["dataset"]: row["n"] for row in datasets},
        "materials": len(targets),
        "validation_materials": 0 if group.knowledge.cross else group.knowledge.calibration.n_rows,
        "targets": _targets(p.classes, targets),
    }


def _targets(classes: Sequence[str], targets: npt.NDArray[np.float64]) -> dict[str, Any]:
    """How the training targets lie, or how many are of each class."""
    if classes:
        return {name: int((targets == place).sum()) for place, name in enumerate(classes)}
    if not len(targets):
        return {}
    return {
        "least": float(targets.min()),
        "median": float(np.median(targets)),
        "greatest": float(targets.max()),
    }


def _reach(group: LoadedGroup) -> dict[str, Any]:
    domain = group.knowledge.domain
    return {
        "elements": sorted(domain.elements),
        "prototypes": len(domain.prototypes),
        "ranges": {name: list(bounds) for name, bounds in domain.ranges.items()},
    }


def _errors(session: Session, group: SeedGroup) -> dict[str, Any]:
    measured = [one for one in fold_errors(session, group.model_ids).values() if len(one.errors)]
    task, n = group.first.task, group.first.metrics["folds"]["test"]["n"]
    beside = measured_of(group)
    if len({one.material_ids for one in measured}) != 1:
        # imported: of its test materials the numbers alone have come
        error = group.mean(lambda model: model.error())
        return {"fold": "test", "materials": n, task.error: error, **beside}
    of_seeds = np.stack([one.errors for one in measured], axis=1)
    (estimate,) = mean_estimates(of_seeds.mean(axis=1)[:, None])
    return {
        "fold": "test",
        "materials": len(of_seeds),
        task.error: estimate.value,
        f"{task.error}_low": estimate.low,
        f"{task.error}_high": estimate.high,
        **beside,
        "seeds": "deterministic"
        if deterministic(of_seeds)
        else {f"std_of_{task.error}": float(np.std(of_seeds.mean(axis=0), ddof=1))}
        if of_seeds.shape[1] > 1
        else "one",
    }


def _intervals(group: LoadedGroup) -> dict[str, Any]:
    calibration, cross = group.knowledge.calibration, group.knowledge.cross
    return {
        "method": "split conformal" if cross is None else f"CV+ over {cross.folds} folds",
        "calibrated_by": calibration.n_rows,
        "needed": FEWEST_ROWS,
        "power_of_distance": calibration.power,
    }


def _limits(session: Session, group: LoadedGroup) -> list[str]:
    p, domain = group.parameters, group.knowledge.domain
    encoders = [find_encoder(session, one.encoder_id, one.kind) for one in p.vectors]
    said = [
        f"Materials with elements other than the {len(domain.elements)} above, and sizes out of "
        "the ranges above: nothing shows how wrong it is there.",
        "Materials farther from the training materials than these are from each other "
        "(percentile 100 of featurestore predict): its intervals are not calibrated there.",
        f"Anything but {p.property} as {p.property_source} defines it: other functionals, "
        "temperatures and measurements differ systematically.",
        "Disordered, amorphous, molecular and low-dimensional matter, unless the training "
        "materials hold such.",
        "A decision that rests on one value: use the interval."
        if not p.classes
        else "A decision that rests on one class: use the probabilities and the set.",
    ]
    if p.where is not None:
        said.append(f"Materials for which this does not hold: {p.where}.")
    said += [f"{warning}." for warning in source_warnings(encoders, p.property)]
    n_test = group.stored.first.metrics["folds"]["test"]["n"]
    if n_test < _FEWEST_TEST_MATERIALS:
        said.append(f"Claims about its error: {n_test} test materials do not tell it.")
    return said


def card_markdown(card: dict[str, Any]) -> str:
    """The card as a page."""
    what, errors, unit = card["is"], card["errors"], card["is"]["unit"]
    training, reach, intervals = card["trained_on"], card["reaches"], card["intervals"]
    crossed = intervals["method"] != "split conformal"
    task, spread = task_of(unit), None
    if f"{task.error}_high" in errors:
        spread = (errors[f"{task.error}_high"] - errors[f"{task.error}_low"]) / 2
    error = "unknown: the test fold is empty"
    if errors["materials"]:
        of = "" if task.error_unit == "1" else f" {task.error_unit}"
        value = rounded(errors[task.error], spread)
        said = "materials, each out of fold" if crossed else "test materials"
        error = f"{value}{of} on {errors['materials']} {said}"
    if spread is not None:
        low, high = (rounded(errors[f"{task.error}{end}"], spread) for end in ("_low", "_high"))
        error += f" (95 %: {low} to {high})"
    if errors.get("seeds") == "deterministic" and len(what["seeds"]) > 1:
        error += "; deterministic, the seeds change nothing"
    ranges = [f"{name} {low:.4g} to {high:.4g}" for name, (low, high) in reach["ranges"].items()]
    what_for = "out of fold" if crossed else "validation"
    calibrated = f"{intervals['method']}, by {intervals['calibrated_by']} {what_for} materials"
    if intervals["calibrated_by"] < intervals["needed"]:
        calibrated = f"none: {intervals['calibrated_by']} of {intervals['needed']} that are needed"
    datasets = ", ".join(f"{name} ({n:,})" for name, n in training["datasets"].items())
    facts = {
        "Models": ", ".join(card["models"]),
        "Standing": card["standing"] + (", imported" if card["imported"] else ""),
        "Predictor": f"{what['predictor']}, seeds {', '.join(map(str, what['seeds']))}",
        "Training view": what["view_fingerprint"],
        "Features": "; ".join(one["feature"] for one in card["features"]) or "the structure itself",
    }
    trained = {
        "Targets": f"{what['property']} ({shown_unit(unit)}) of {training['source_of_targets']}",
        "Split": f"{training['split']}",
        "Training materials": f"{training['materials']:,}"
        + (f", from {datasets}" if datasets else ""),
        "Elements": f"{len(reach['elements'])}: {' '.join(reach['elements'])}",
        "Prototypes": f"{reach['prototypes']:,}",
        "Ranges": "; ".join(ranges),
    }
    lines = [f"# {plain(what['property'])}: {plain(card['group'])}", ""]
    lines += _listed(facts)
    lines += ["", "## Trained on, and reaches", "", *_listed(trained)]
    measured = {"Mean absolute error" if task.error == "mae" else task.error_name: error}
    measured |= {
        name.removeprefix("test_").replace("_", " "): f"{value:.3g}"
        for name, value in errors.items()
        if name.startswith("test_") and value is not None
    }
    lines += ["", "## Errors", "", *_listed(measured)]
    if "classes" in what:
        lines += _listed({"90 % sets of classes": calibrated})
        lines += [
            f"  - {plain(row['part'])}: {row['covered']:.0%} of {row['n']} test targets in sets of "
            f"{row['set_size']:.2f} classes on average"
            for row in intervals["test_fold"]
        ]
    else:
        lines += _listed({"90 % intervals": calibrated})
        lines += [
            f"  - {plain(row['part'])}: {row['covered']:.0%} of {row['n']} test targets in "
            f"intervals {rounded(row['width'], row['width'] / 10)} {plain(unit)} wide"
            for row in intervals["test_fold"]
        ]
    lines += ["", "## Must not be used for", ""]
    lines += [f"- {plain(one)}" for one in card["must_not_be_used_for"]]
    return "\n".join(lines) + "\n"


def _listed(facts: dict[str, str]) -> list[str]:
    return [f"- {name}: {plain(value)}" for name, value in facts.items()]
