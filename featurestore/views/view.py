"""Training views: SQL joins the keys, then the vectors are read once into one array."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.catalogue import Encoder, find_encoder, find_generator
from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.identity import canonical_json
from featurestore.output.rows import write_table
from featurestore.session import Session, quoted
from featurestore.tables.schemas import embedding_table
from featurestore.tables.storage import storage_errors
from featurestore.views.parameters import ViewParameters, view_sql
from featurestore.views.request import FOLDS, GRAPH
from featurestore.views.vectors import read_vectors

if TYPE_CHECKING:
    import torch
    from torch.utils.data import TensorDataset


@dataclass(frozen=True)
class TrainingView:
    """Rows in order of material_id, with their features.

    Parameters
    ----------
    parameters : ViewParameters
        What was asked for.
    sql : str
        The query that selects the rows; it runs as it stands with ``featurestore sql``.
    rows : pyarrow.Table
        material_id, structure_id, text_id, fold, target, n_tokens, truncated; n rows.
    features : ndarray, shape (n, width), float32
        The structure's vector, then the text's, as far as asked for.
    segments : tuple of (str, int, int)
        Named slices of ``features``, for example ``("structure.atom", 0, 256)``.
    excluded : dict of str to int
        Materials with a target (and a fold, if a split was asked for) that are not in the view,
        counted by what they lack.
    versions : dict of str to int
        The version of each table that was read.
    """

    parameters: ViewParameters
    sql: str
    rows: pa.Table
    features: npt.NDArray[np.float32]
    segments: tuple[tuple[str, int, int], ...]
    excluded: dict[str, int]
    versions: dict[str, int]

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @cached_property
    def targets(self) -> npt.NDArray[np.float64]:
        """The property's values: shape (n,), float64, in ``parameters.unit``."""
        return np.asarray(self.rows["target"].to_numpy())

    @cached_property
    def material_ids(self) -> list[str]:
        """The material of each row."""
        return list(self.rows["material_id"].to_pylist())

    def in_fold(self, fold: str) -> npt.NDArray[np.bool_]:
        """Which rows are in the fold "train", "val" or "test": shape (n,), bool."""
        return np.array([value == fold for value in self.rows["fold"].to_pylist()], dtype=bool)

    @cached_property
    def table(self) -> pa.Table:
        """The rows with the vectors as fixed-size list columns ``structure_vector`` and so on."""
        table = self.rows
        for part in self.parameters.features.split("+"):
            if part == GRAPH:
                continue
            slices = [item for item in self.segments if item[0].startswith(f"{part}.")]
            start, stop = slices[0][1], slices[-1][2]
            values = np.ascontiguousarray(self.features[:, start:stop]).reshape(-1)
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), stop - start)
            table = table.append_column(f"{part}_vector", vectors)
        return table

    def to_dataset(self, fold: str | None = None) -> TensorDataset:
        """Features and targets as a `torch.utils.data.Dataset` of (width,) and () float32.

        Parameters
        ----------
        fold : {"train", "val", "test"}, optional
            Only rows of this fold, copied; all rows, sharing this view's memory, by default.

        Raises
        ------
        UnknownNameError
            If there is no such fold.
        MissingDataError
            If the view has no row in it.
        """
        from torch.utils.data import TensorDataset

        features, targets = self.to_torch()
        if fold is None:
            return TensorDataset(features, targets)
        if fold not in FOLDS:
            raise UnknownNameError("fold", fold, FOLDS)
        chosen = np.flatnonzero(self.in_fold(fold))
        if not len(chosen):
            raise MissingDataError(f"the view has no row in the fold {fold!r}: choose a split")
        return TensorDataset(features[chosen], targets[chosen])

    def to_torch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, width) float32, sharing this view's memory, and targets (n,) float32."""
        import torch  # only for callers that have it: the store itself needs no torch

        return torch.from_numpy(self.features), torch.from_numpy(self.targets.astype(np.float32))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the parameters, the SQL and every byte of the rows and features.

        Table versions are recorded in ``versions`` but are no part of it: a commit that does not
        touch these rows leaves the fingerprint as it is.
        """
        digest = hashlib.sha256()
        digest.update(canonical_json([self.parameters.as_dict(), self.sql]).encode("utf-8"))
        for name in ("material_id", "structure_id", "text_id", "fold"):
            digest.update(canonical_json(self.rows[name].to_pylist()).encode("utf-8"))
        digest.update(self.targets.astype("<f8").tobytes())
        digest.update(np.ascontiguousarray(self.features, dtype="<f4").data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        p = self.parameters
        return (
            f"<TrainingView {p.property} {p.features} rows={len(self)} "
            f"width={self.features.shape[1]} fingerprint={self.fingerprint[:12]}>"
        )


@dataclass(frozen=True)
class SelectedView:
    """The rows of a training view whose vectors are still to be read.

    Parameters
    ----------
    parameters, sql, rows, excluded, versions
        As in `TrainingView`.
    parts : tuple of (Encoder, str, lance.LanceDataset)
        Encoders in order of their columns, each with the column of ``rows`` that holds its keys
        and the table that holds its vectors.
    """

    parameters: ViewParameters
    sql: str
    rows: pa.Table
    excluded: dict[str, int]
    versions: dict[str, int]
    parts: tuple[tuple[Encoder, str, Any], ...]

    def read(self) -> TrainingView:
        """Read the vectors into one preallocated array; no session is needed any more.

        Raises
        ------
        StorageError
            If the storage refuses a read.
        """
        width = sum(encoder.dimension for encoder, _, _ in self.parts)
        features = np.empty((self.rows.num_rows, width), dtype=np.float32)
        segments: list[tuple[str, int, int]] = []
        start = 0
        for encoder, key, dataset in self.parts:
            stop = start + encoder.dimension
            with storage_errors(f"read the vectors of encoder {encoder.encoder_id}"):
                read_vectors(dataset, key, self.rows[key], features[:, start:stop])
            segments += [
                (f"{encoder.kind}.{n}", start + a, start + b) for n, a, b in encoder.segments
            ]
            start = stop
        return TrainingView(
            self.parameters,
            self.sql,
            self.rows,
            features,
            tuple(segments),
            self.excluded,
            self.versions,
        )


def select_view(session: Session, parameters: ViewParameters) -> SelectedView:
    """Run the view's query, which joins keys only: a join with vectors would read all of them.

    Close the session before `SelectedView.read`: DuckDB gives its memory back only then.

    Raises
    ------
    MissingDataError
        If no material is left; the message counts what they lack and names the command to run.
    """
    sql = view_sql(parameters)
    rows = session.query(sql)
    excluded = _excluded(session, parameters, rows.num_rows)
    if not rows.num_rows:
        raise MissingDataError(_nothing_left(session, parameters, excluded))
    parts = []
    for kind, encoder_id in (
        ("structure", parameters.structure_encoder),
        ("text", parameters.text_encoder),
    ):
        if encoder_id is not None:
            encoder = find_encoder(session, encoder_id, kind)
            dataset = session.dataset(embedding_table(kind, encoder_id))
            assert dataset is not None  # the rows were joined with it
            parts.append((encoder, f"{kind}_id", dataset))
    return SelectedView(parameters, sql, rows, excluded, dict(session.versions), tuple(parts))


def load_view(session: Session, parameters: ViewParameters) -> TrainingView:
    """The training view with these parameters, for callers that go on using the session.

    Raises
    ------
    MissingDataError, StorageError
        As `select_view` and `SelectedView.read`.
    """
    return select_view(session, parameters).read()


def write_view(view: TrainingView, path: Path) -> None:
    """Write a view's table to a ``.parquet``, ``.arrow``, ``.csv`` or ``.npz`` file, atomically."""
    metadata = {
        "fingerprint": view.fingerprint,
        "parameters": canonical_json(view.parameters.as_dict()),
        "sql": view.sql,
        "versions": canonical_json(view.versions),
    }
    write_table(view.table, path, metadata)


def _excluded(session: Session, parameters: ViewParameters, kept: int) -> dict[str, int]:
    """Materials with a target that the view leaves out, by the first thing they lack."""
    p = parameters
    targets = "FROM targets(?, split := ?, property_source := ?) t"
    given = [p.property, p.split, p.property_source]
    tests = []
    if p.structure_encoder is not None:
        table = f"structure_embeddings__{p.structure_encoder}"
        tests.append(("structure vector", f"structure_id IN (SELECT structure_id FROM {table})"))
    if p.generator_id is not None:
        described = f"SELECT structure_id FROM sentences WHERE generator_id = '{p.generator_id}'"
        encoded = (
            f"SELECT structure_id FROM texts('{p.generator_id}', variant := {quoted(p.variant)}) "
            f"JOIN text_embeddings__{p.text_encoder} USING (text_id)"
        )
        tests.append(("text", f"structure_id IN ({described})"))
        tests.append(("text vector", f"structure_id IN ({encoded})"))
    total = session.query(f"SELECT count(*) AS n {targets}", given)["n"][0].as_py()
    if total == kept:
        return {}
    case = " ".join(f"WHEN NOT {test} THEN '{lacking}'" for lacking, test in tests)
    counted = session.query(
        f"SELECT lacking, count(*) AS n FROM (SELECT CASE {case} END AS lacking {targets}) "
        "WHERE lacking IS NOT NULL GROUP BY lacking ORDER BY lacking",
        given,
    ).to_pylist()
    return {row["lacking"]: row["n"] for row in counted}


def _nothing_left(session: Session, parameters: ViewParameters, excluded: dict[str, int]) -> str:
    p = parameters
    counts = ", ".join(f"{n} lack a {what}" for what, n in excluded.items()) or (
        "none has a target and a fold"
    )
    message = f"the training view of {p.property!r} has no rows: {counts}"
    commands = []
    if "structure vector" in excluded:
        assert p.structure_encoder is not None
        name = find_encoder(session, p.structure_encoder, "structure").name
        commands.append(f"featurestore ingest embeddings --encoder {name}")
    if "text" in excluded:
        assert p.generator_id is not None
        source = find_generator(session, p.generator_id).source
        commands.append(f"featurestore ingest text --source {source}")
    if "text" in excluded or "text vector" in excluded:
        commands.append(embeddings_command(session, p))
    return message + (f". Run: {'; '.join(commands)}" if commands else "")


def embeddings_command(session: Session, parameters: ViewParameters) -> str:
    """The command that makes the text vectors which a view with these parameters needs."""
    assert parameters.generator_id is not None and parameters.text_encoder is not None
    source = find_generator(session, parameters.generator_id).source
    name = find_encoder(session, parameters.text_encoder, "text").name
    variant = "" if parameters.variant == "full" else f" --variant '{parameters.variant}'"
    return f"featurestore ingest embeddings --encoder {name} --source {source}{variant}"


def parts(segments: Iterable[tuple[str, int, int]]) -> dict[str, tuple[int, int]]:
    """Whole vectors, and the named segments of those that have several, as (start, stop).

    >>> parts([("structure.atom", 0, 2), ("structure.bond", 2, 3), ("text.text", 3, 5)])
    {'structure': (0, 3), 'structure.atom': (0, 2), 'structure.bond': (2, 3), 'text': (3, 5)}
    """
    vectors: dict[str, dict[str, tuple[int, int]]] = {}
    for name, start, stop in segments:
        vectors.setdefault(name.partition(".")[0], {})[name] = (start, stop)
    found = {}
    for vector, of in vectors.items():
        found[vector] = (min(a for a, _ in of.values()), max(b for _, b in of.values()))
        if len(of) > 1:
            found |= of
    return found
