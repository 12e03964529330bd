"""Predictions in the form in which the JARVIS-Leaderboard takes contributions."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

from featurestore.errors import MissingDataError
from featurestore.output.rows import atomic_path
from featurestore.session import Session
from train.models import StoredModel

_SUFFIX = ".csv.zip"
# A fixed time stamp: the same predictions are the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def leaderboard_name(session: Session, model: StoredModel, dataset: str | None) -> str:
    """The file name that the leaderboard expects (Choudhary et al., npj Comput. Mater. 10, 93).

    Parameters
    ----------
    session : Session
        Where the predictions are.
    model : StoredModel
        Whose.
    dataset : str or None
        The leaderboard's name of the data set; None for that of the test materials.

    Raises
    ------
    MissingDataError
        If no data set is named, and the model has no test predictions or has them of several.
    """
    rows = session.query(
        "SELECT DISTINCT dataset FROM predictions JOIN materials USING (material_id) "
        "WHERE model_id = ? AND fold = 'test' ORDER BY dataset",
        [model.model_id],
    )
    datasets = [dataset] if dataset else rows["dataset"].to_pylist()
    if len(datasets) != 1:
        raise MissingDataError(
            f"the test predictions of {model.model_id} are of "
            f"{', '.join(datasets) or 'no material at all'}; the leaderboard takes one data set: "
            "name it with --dataset"
        )
    data = re.sub(r"[^A-Za-z0-9_]+", "_", datasets[0])
    return f"AI-SinglePropertyPrediction-{model.parameters.property}-{data}-test-mae{_SUFFIX}"


def write_leaderboard(session: Session, model: StoredModel, path: Path) -> int:
    """Write the test predictions as a zipped CSV file with columns id and prediction.

    Parameters
    ----------
    session : Session
        Where the predictions are.
    model : StoredModel
        Whose.
    path : Path
        Ends in ``.csv.zip``; the file inside has its name without ``.zip``.

    Returns
    -------
    int
        Number of predictions, in order of the id.

    Raises
    ------
    MissingDataError
        If there are none.
    StorageError
        If the file cannot be written.
    """
    rows = session.query(
        "SELECT material_id, prediction FROM predictions WHERE model_id = ? AND fold = 'test' "
        "ORDER BY material_id",
        [model.model_id],
    ).to_pylist()
    if not rows:
        raise MissingDataError(f"model {model.model_id} has no test predictions")
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["id", "prediction"])
    for row in rows:
        lines.writerow([row["material_id"], repr(row["prediction"])])
    entry = zipfile.ZipInfo(path.name.removesuffix(".zip"), _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(entry, text.getvalue())
    return len(rows)
