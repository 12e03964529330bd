"""One page on a stored model: what it learned from, how far off it is, what it relies on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from explain.drawing.pages import write_page
from explain.erasing.rows import (
    check_encoders,
    seed_siblings,
    stored_predictions,
)
from explain.report.class_charts import ticks
from explain.report.class_errors import class_errors
from explain.report.folds import (
    by_error,
    constant_error,
    fold_row,
    material_rows,
    met_formulas,
)
from explain.report.materials import worked_materials
from explain.report.model import Report
from explain.report.outcomes import class_predictions
from explain.report.parity import parity
from explain.report.reliance import relied_on
from explain.report.training import model_facts, training_notes
from explain.report.verdict import class_verdict, verdict
from featurestore.history.lineage import model_lineage
from featurestore.session import Session
from featurestore.views.request import FOLDS
from featurestore.views.view import load_view
from train.analysis.groups import LEAST, GroupErrors, group_errors
from train.analysis.resampling import Estimate
from train.models import SeedGroup

_WORST = 10
_LEAST_IN_GROUP = 5


def write_report(
    session: Session, name: str, path: Path, materials: Sequence[str] = (), store_uri: str = ""
) -> Report:
    """Write the page for a model and its seeds.

    Nothing is computed that belongs into the store: what has not been measured is named with the
    command that measures it.

    Parameters
    ----------
    session : Session
        Where everything comes from.
    name : str
        Model id or its beginning; models that differ only by their seed are averaged.
    path : Path
        The HTML file.
    materials : sequence of str
        Test materials to show in full. By default those whose words have been measured, then
        the best, the median and the worst predicted, three in all.
    store_uri : str
        For the commands on the page.

    Raises
    ------
    UnknownNameError
        If there is no such model, one of its encoders or its generator is gone, or it has no
        prediction for one of the materials.
    InvalidInputError
        If several models are so named.
    MissingDataError
        If the model's rows are gone from the store.
    StorageError
        If the file cannot be written.
    """
    report = collect(session, name, materials, store_uri)
    write_page("report.html", path, report=report, ticks=ticks())
    return report


def collect(
    session: Session, name: str, materials: Sequence[str] = (), store_uri: str = ""
) -> Report:
    """What `write_report` puts on the page."""
    models = seed_siblings(session, name)
    first = models[0]
    check_encoders(session, first)
    p = first.parameters
    of_classes = class_predictions(session, models) if p.classes else None
    stored = of_classes or stored_predictions(session, models)
    view = load_view(session, first.parameters)
    lineage = model_lineage(session, first.model_id)
    test = stored.in_fold("test")
    known = material_rows(session, stored)
    parts, note = relied_on(session, models, store_uri)
    folds = tuple(fold_row(stored, fold) for fold in FOLDS if stored.in_fold(fold).any())
    constant = constant_error(stored)
    tested = bool(test.any())
    classes = class_errors(of_classes, p.classes) if of_classes and tested else None
    return Report(
        models=models,
        verdict=class_verdict(folds, constant, p.property, classes)
        if p.classes
        else verdict(folds, constant, p.property, p.unit),
        notes=training_notes(view, first),
        facts=model_facts(session, models, view, lineage),
        folds=folds,
        constant=constant,
        met=met_formulas(stored, known),
        parity=parity(session, models, stored, known) if tested and not p.classes else None,
        of_classes=classes,
        groups=_groups(session, models) if tested else (),
        worst=tuple(known[i] for i in by_error(stored)[::-1][:_WORST]),
        parts=parts,
        effect_note=note,
        materials=worked_materials(session, models, stored, known, view, materials, store_uri),
        lineage=lineage,
    )


def _groups(session: Session, models: SeedGroup) -> tuple[GroupErrors, ...]:
    """Errors by crystal system; without intervals where a bootstrap would say little."""
    found = group_errors(session, [models], "crystal_system", _LEAST_IN_GROUP)[0].groups
    return tuple(
        one if one.n >= LEAST else replace(one, error=Estimate(one.error.value, math.nan, math.nan))
        for one in found
    )
