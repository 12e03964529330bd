"""A training view as a folder that ``datasets.load_from_disk`` reads, written without that library.

Such a folder is an Arrow stream for each split, with the library's description of the columns
beside it (datasets 2 to 5, ``Dataset.save_to_disk``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.views.request import FOLDS
from featurestore.views.view import TrainingView

_DATA = "data-00000-of-00001.arrow"
_DTYPES = {pa.string(): "string", pa.float64(): "float64", pa.int32(): "int32", pa.bool_(): "bool"}


def write_datasets_folder(view: TrainingView, folder: Path) -> None:
    """Write a ``DatasetDict`` with the folds as splits; a view without folds is one ``Dataset``."""
    if view.parameters.split is None:
        _write_split(view, view.table, folder, None)
        return
    splits = [fold for fold in FOLDS if view.in_fold(fold).any()]
    for fold in splits:
        rows = view.table.filter(pa.array(view.in_fold(fold)))
        _write_split(view, rows, folder / fold, fold)
    _write_json(folder / "dataset_dict.json", {"splits": splits})


def _write_split(view: TrainingView, table: pa.Table, folder: Path, fold: str | None) -> None:
    folder.mkdir(exist_ok=True)
    info = {
        "citation": "",
        "description": f"{view.parameters.property} ({view.parameters.unit})",
        "features": {field.name: _feature(field.type) for field in table.schema},
        "homepage": "",
        "license": "",
    }
    described = {"huggingface": json.dumps({"info": {"features": info["features"]}})}
    table = table.replace_schema_metadata(described)
    with pa.OSFile(str(folder / _DATA), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table, max_chunksize=1000)
    state: dict[str, Any] = {
        "_data_files": [{"filename": _DATA}],
        "_fingerprint": view.fingerprint[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": fold,
    }
    _write_json(folder / "dataset_info.json", info)
    _write_json(folder / "state.json", state)


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_fixed_size_list(kind):
        element = {"dtype": "float32", "_type": "Value"}
        # Later releases call it List, and still read this.
        return {"feature": element, "length": kind.list_size, "_type": "Sequence"}
    return {"dtype": _DTYPES[kind], "_type": "Value"}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
