"""Predictions of Matbench's folds, and what a submission says of itself, in the form it asks for.

Dunn et al., npj Comput. Mater. 6, 138 (2020). The form is that of ``MatbenchBenchmark.to_file`` of
the package matbench 0.6, which reads such a file again and holds it against its own folds, and that
of the ``info.json`` which its ``scripts/test_submission.py`` asks for.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.classes import TRUTH
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.output.rows import atomic_path
from featurestore.session import Session
from featurestore.tables.runs import recorded_versions
from train.analysis.matbench import OF_CLASSES, VERSION, MatbenchFolds, mbid
from train.models import StoredModel

BENCHMARK = "matbench_v0.1"
# The benchmark leaves targets so near zero out of its relative error.
_NEAR_ZERO = 1e-5
# Above it the benchmark takes a probability for true.
_TRUE = 0.5


def write_results(
    session: Session,
    models: Sequence[StoredModel],
    folds: MatbenchFolds,
    path: Path,
    metadata: Mapping[str, Any],
) -> dict[str, dict[str, float]]:
    """Write the test predictions of a model of each fold as Matbench's results.

    Parameters
    ----------
    session : Session
        Where the predictions are.
    models : sequence of StoredModel
        In any order: the test materials say of which fold each is.
    folds : MatbenchFolds
    path : Path
        Ends in ``.json`` or ``.json.gz``.
    metadata : mapping
        What the file says of the algorithm, of JSON's values.

    Returns
    -------
    dict of str to dict
        The scores of each fold: ``mae``, ``rmse``, ``max_error`` in the unit of the target, and
        ``mape``; of true and false ``accuracy``, ``balanced_accuracy``, ``f1``, ``rocauc``.

    Raises
    ------
    InvalidInputError
        If a model's test materials are those of no fold, two are of the same, the models differ in
        more than their folds, or their targets are not numbers, or true and false, as the task's.
    MissingDataError
        If a fold has no model.
    """
    _check_targets(models, folds.task)
    alike = {(model.predictor, model.parameters.features_name, model.encoders) for model in models}
    if len(alike) > 1:
        raise InvalidInputError(
            "the models differ in more than their folds: in predictor or features"
        )
    by_test = {frozenset(test): name for name, (_, test) in folds.folds.items()}
    results: dict[str, dict[str, Any]] = {}
    scores = _class_scores if folds.task in OF_CLASSES else _scores
    for model in models:
        found = _test_rows(session, model, folds.task)
        name = by_test.get(frozenset(found))
        if name is None:
            raise InvalidInputError(
                f"the test materials of {model.model_id} are those of no fold of {folds.task}: "
                + _difference(found, folds)
            )
        if name in results:
            raise InvalidInputError(f"two models are of {name}, one of them {model.model_id}")
        order = folds.folds[name][1]
        results[name] = {
            "data": {one: found[one][1] for one in order},
            "uncertainty": None,
            "parameters": {
                "predictor": model.predictor,
                "seed": model.seed,
                "settings": dict(model.settings),
                "model_id": model.model_id,
                "view_fingerprint": model.view_fingerprint,
            },
            "scores": scores(*np.array([found[one] for one in order], np.float64).T),
        }
    if lacking := [name for name in folds.folds if name not in results]:
        raise MissingDataError(f"no model is of {', '.join(lacking)} of {folds.task}")
    content = _benchmark(folds.task, results, metadata)
    text = (json.dumps(content) + "\n").encode("utf-8")
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return {name: results[name]["scores"] for name in folds.folds}


def write_info(
    models: Sequence[StoredModel], path: Path, algorithm: str, authors: str, **said: str
) -> None:
    """Write what a submission says of itself, Matbench's ``info.json``.

    Parameters
    ----------
    models : sequence of StoredModel
        One of each fold.
    path : Path
    algorithm, authors : str
        As the leaderboard shows them.
    said : str
        ``algorithm_long``, ``bibtex_refs`` and ``notes``; what the models are stands for the first
        if it is not given.

    Raises
    ------
    InvalidInputError
        If a text is empty that must not be.
    """
    content: dict[str, Any] = {"authors": authors, "algorithm": algorithm}
    for name, value in content.items():
        if not value.strip():
            raise InvalidInputError(f"a submission to Matbench names its {name}")
    content["algorithm_long"] = said.get("algorithm_long") or described(models[0])
    content["bibtex_refs"] = said.get("bibtex_refs", "")
    content["notes"] = said.get("notes", "")
    own = f"materials-featurestore=={packages.version('materials-featurestore')}"
    versions = [f"{name}=={version}" for name, version in recorded_versions().items()]
    content["requirements"] = {"python": [f"python=={platform.python_version()}", own, *versions]}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def described(model: StoredModel) -> str:
    """What a model is, in a sentence."""
    settings = ", ".join(f"{name} {value}" for name, value in model.settings.items())
    return (
        f"{model.predictor} on {model.parameters.features_name} ({model.encoders}), seed "
        f"{model.seed}" + (f"; settings: {settings}" if settings else "")
    )


def _check_targets(models: Sequence[StoredModel], task: str) -> None:
    wanted = TRUTH if task in OF_CLASSES else ()
    for model in models:
        if model.parameters.classes != wanted:
            has = f"the classes {', '.join(model.parameters.classes)}"
            raise InvalidInputError(
                f"the targets of {task} are {'true and false' if wanted else 'numbers'}, those of "
                f"{model.model_id} are {has if model.parameters.classes else 'numbers'}"
            )


def _benchmark(task: str, results: dict[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    said = {
        "@module": "matbench.task",
        "@class": "MatbenchTask",
        "benchmark_name": BENCHMARK,
        "dataset_name": task,
        "results": results,
    }
    content = {
        "@module": "matbench.bench",
        "@class": "MatbenchBenchmark",
        "version": VERSION,
        "tasks": _sorted({task: said}),
        "user_metadata": dict(metadata),
        "benchmark_name": BENCHMARK,
        "datestamp": f"{datetime.now(UTC):%Y.%m.%d %H:%M.%S}",
    }
    # As the package makes it: of the whole, sorted at every level.
    content["hash"] = hashlib.sha256(json.dumps(_sorted(content)).encode("utf-8")).hexdigest()
    return content


def _sorted(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _sorted(one) if isinstance(one, dict) else one for name, one in sorted(value.items())
    }


def _scores(target: Any, prediction: Any) -> dict[str, float]:
    errors, away = np.abs(prediction - target), np.abs(target) > _NEAR_ZERO
    return {
        "mae": float(errors.mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "mape": float((errors[away] / np.abs(target[away])).mean()),
        "max_error": float(errors.max()),
    }


def _class_scores(target: Any, probability: Any) -> dict[str, float]:
    """As ``matbench.data_ops.score_array`` has them: even the last of labels, not probabilities."""
    from sklearn import metrics  # brings SciPy, which nothing else here needs

    of: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] = target > _TRUE, probability > _TRUE
    return {
        "accuracy": float(metrics.accuracy_score(*of)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(*of)),
        "f1": float(metrics.f1_score(*of)),
        "rocauc": float(metrics.roc_auc_score(*of)),
    }


def _test_rows(session: Session, model: StoredModel, task: str) -> dict[str, tuple[float, float]]:
    """Target and prediction of each test material, or the probability of true, by Matbench's id."""
    predicted = "probabilities[2]" if task in OF_CLASSES else "prediction"
    rows = session.query(
        f"SELECT material_id, target, {predicted} AS predicted FROM predictions "
        "WHERE model_id = ? AND fold = 'test'",
        [model.model_id],
    ).to_pylist()
    return {
        mbid(row["material_id"], task): (float(row["target"]), float(row["predicted"]))
        for row in rows
    }


def _difference(found: Mapping[str, Any], folds: MatbenchFolds) -> str:
    """How it differs from the fold that is nearest."""
    name, (_, test) = max(folds.folds.items(), key=lambda one: len(set(one[1][1]) & set(found)))
    lacking, more = sorted(set(test) - set(found)), sorted(set(found) - set(test))
    parts = [f"{len(lacking)} of {name} are lacking, as {lacking[0]}"] if lacking else []
    parts += [f"{len(more)} are not of {name}, as {more[0]}"] if more else []
    return "; ".join(parts)
