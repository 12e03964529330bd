"""Matbench's folds as files of folds, and predictions of them in the form of its submissions.

Dunn et al., npj Comput. Mater. 6, 138 (2020). The form is that of ``MatbenchBenchmark.to_file`` of
the package matbench 0.6, which reads such a file again and holds it against its own folds.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.files import check_regular, read_json
from featurestore.output.rows import atomic_path
from featurestore.session import Session
from train.models import StoredModel

BENCHMARK = "matbench_v0.1"
VERSION = "0.6"
VALIDATION = "matbench/matbench_v0.1_validation.json"
#: Materials of the tasks on structures with numbers as targets; the ids count them.
TASKS: Mapping[str, int] = {
    "matbench_dielectric": 4764,
    "matbench_jdft2d": 636,
    "matbench_log_gvrh": 10987,
    "matbench_log_kvrh": 10987,
    "matbench_mp_e_form": 132752,
    "matbench_mp_gap": 106113,
    "matbench_perovskites": 18928,
    "matbench_phonons": 1265,
}
_LARGEST = 200 * 2**20
#: The share of a fold's training materials that is set aside to stop by: Matbench names none.
_VALIDATION_SHARE = 0.1
# The benchmark leaves targets so near zero out of its relative error.
_NEAR_ZERO = 1e-5


@dataclass(frozen=True)
class MatbenchFolds:
    """The folds of a task.

    Parameters
    ----------
    task : str
    folds : dict of str to (tuple of str, tuple of str)
        For ``fold_0`` … the ids of the materials to train on, and of those to predict, in order.
    """

    task: str
    folds: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(repr=False)


def read_folds(path: Path, task: str) -> MatbenchFolds:
    """The folds of a task from Matbench's file of them, or from the wheel that holds it.

    Raises
    ------
    UnknownNameError
        If there is no such task on structures with numbers as targets.
    InvalidInputError
        If the file cannot be read, or has no such folds.
    """
    if task not in TASKS:
        raise UnknownNameError("Matbench task on structures and numbers", task, TASKS)
    try:
        splits = _content(path)["splits"][task]
        folds = {
            name: (tuple(map(str, fold["train"])), tuple(map(str, fold["test"])))
            for name, fold in splits.items()
        }
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise InvalidInputError(
            f"{path}: no folds of {task} in Matbench's form ({type(error).__name__}: {error}); "
            f"they are in {VALIDATION} of the wheel: pip download --no-deps matbench=={VERSION}"
        ) from error
    return MatbenchFolds(task, dict(sorted(folds.items())))


def write_fold_files(folds: MatbenchFolds, folder: Path, dataset: str, seed: int = 0) -> list[Path]:
    """Write a file for ``featurestore ingest splits`` for each fold.

    Parameters
    ----------
    folds : MatbenchFolds
    folder : Path
        Made if it is not there.
    dataset : str
        What stands before the index in the store's material ids, as ``matbench_jdft2d`` in
        ``matbench_jdft2d/0``.
    seed : int
        Of the tenth of the training materials that is set aside to stop by.
    """
    written = []
    for number, (name, (train, test)) in enumerate(folds.folds.items()):
        ids = np.array(train)
        order = np.random.default_rng([seed, number]).permutation(len(ids))
        n_val = max(round(_VALIDATION_SHARE * len(ids)), 1)
        content = {
            "id_train": _stored(ids[np.sort(order[n_val:])], dataset),
            "id_val": _stored(ids[np.sort(order[:n_val])], dataset),
            "id_test": _stored(test, dataset),
        }
        path = folder / f"{folds.task}_{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        written.append(path)
    return written


def write_results(
    session: Session,
    models: Sequence[StoredModel],
    folds: MatbenchFolds,
    path: Path,
    metadata: Mapping[str, Any],
) -> dict[str, float]:
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
    dict of str to float
        The MAE of each fold, in the unit of the target.

    Raises
    ------
    InvalidInputError
        If a model's test materials are those of no fold, two are of the same, or the models differ
        in more than their folds.
    MissingDataError
        If a fold has no model.
    """
    alike = {(model.predictor, model.parameters.features_name, model.encoders) for model in models}
    if len(alike) > 1:
        raise InvalidInputError(
            "the models differ in more than their folds: in predictor or features"
        )
    by_test = {frozenset(test): name for name, (_, test) in folds.folds.items()}
    results: dict[str, dict[str, Any]] = {}
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
            "scores": _scores(*np.array([found[one] for one in order], np.float64).T),
        }
    if lacking := [name for name in folds.folds if name not in results]:
        raise MissingDataError(f"no model is of {', '.join(lacking)} of {folds.task}")
    content = _benchmark(folds.task, results, metadata)
    text = (json.dumps(content) + "\n").encode("utf-8")
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return {name: results[name]["scores"]["mae"] for name in folds.folds}


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


def _test_rows(session: Session, model: StoredModel, task: str) -> dict[str, tuple[float, float]]:
    """Target and prediction of each test material, by Matbench's id."""
    rows = session.query(
        "SELECT material_id, target, prediction FROM predictions "
        "WHERE model_id = ? AND fold = 'test'",
        [model.model_id],
    ).to_pylist()
    return {
        _mbid(row["material_id"], task): (float(row["target"]), float(row["prediction"]))
        for row in rows
    }


def _mbid(material_id: str, task: str) -> str:
    """Matbench's id of a material, which counts from 1: ``mb-jdft2d-001`` of ``…/0``."""
    index = re.search(r"/(\d+)$", material_id)
    if index is None:
        return material_id
    width = len(str(TASKS[task]))
    return f"{task.replace('matbench', 'mb').replace('_', '-')}-{int(index[1]) + 1:0{width}d}"


def _stored(mbids: Sequence[str] | Any, dataset: str) -> list[str]:
    return [f"{dataset}/{int(str(one).rpartition('-')[2]) - 1}" for one in mbids]


def _difference(found: Mapping[str, Any], folds: MatbenchFolds) -> str:
    """How it differs from the fold that is nearest."""
    name, (_, test) = max(folds.folds.items(), key=lambda one: len(set(one[1][1]) & set(found)))
    lacking, more = sorted(set(test) - set(found)), sorted(set(found) - set(test))
    parts = [f"{len(lacking)} of {name} are lacking, as {lacking[0]}"] if lacking else []
    parts += [f"{len(more)} are not of {name}, as {more[0]}"] if more else []
    return "; ".join(parts)


def _content(path: Path) -> Any:
    if path.suffix != ".whl":
        return read_json(path, _LARGEST)
    check_regular(path)
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(VALIDATION).file_size > _LARGEST:
            raise ValueError("larger than any that Matbench made")
        return json.loads(archive.read(VALIDATION))
