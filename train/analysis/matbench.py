"""Matbench's tasks on structures, and their folds as files of folds.

Dunn et al., npj Comput. Mater. 6, 138 (2020).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.files import check_regular, read_json
from featurestore.output.rows import atomic_path

VERSION = "0.6"
VALIDATION = "matbench/matbench_v0.1_validation.json"
#: Materials of the tasks on structures; the ids count them.
TASKS: Mapping[str, int] = {
    "matbench_dielectric": 4764,
    "matbench_jdft2d": 636,
    "matbench_log_gvrh": 10987,
    "matbench_log_kvrh": 10987,
    "matbench_mp_e_form": 132752,
    "matbench_mp_gap": 106113,
    "matbench_mp_is_metal": 106113,
    "matbench_perovskites": 18928,
    "matbench_phonons": 1265,
}
#: Those of them whose targets are true or false.
OF_CLASSES = ("matbench_mp_is_metal",)
_LARGEST = 200 * 2**20
#: The share of a fold's training materials that is set aside to stop by: Matbench names none.
_VALIDATION_SHARE = 0.1


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
        If there is no such task on structures.
    InvalidInputError
        If the file cannot be read, or has no such folds.
    """
    if task not in TASKS:
        raise UnknownNameError("Matbench task on structures", task, TASKS)
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


def mbid(material_id: str, task: str) -> str:
    """Matbench's id of a material, which counts from 1: ``mb-jdft2d-001`` of ``…/0``."""
    index = re.search(r"/(\d+)$", material_id)
    if index is None:
        return material_id
    width = len(str(TASKS[task]))
    return f"{task.replace('matbench', 'mb').replace('_', '-')}-{int(index[1]) + 1:0{width}d}"


def _stored(mbids: Sequence[str] | Any, dataset: str) -> list[str]:
    return [f"{dataset}/{int(str(one).rpartition('-')[2]) - 1}" for one in mbids]


def _content(path: Path) -> Any:
    if path.suffix != ".whl":
        return read_json(path, _LARGEST)
    check_regular(path)
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(VALIDATION).file_size > _LARGEST:
            raise ValueError("larger than any that Matbench made")
        return json.loads(archive.read(VALIDATION))
