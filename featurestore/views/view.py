"""Training views: SQL joins the keys, then the vectors are read once into one array."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.catalogue import find_encoder
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.identity import canonical_json
from featurestore.output.display import Showing, Shown
from featurestore.output.rows import write_table
from featurestore.session import Session
from featurestore.vectors import Vectors
from featurestore.views.features import Feature, VectorFeature, feature_label
from featurestore.views.lacking import excluded, nothing_left
from featurestore.views.parameters import ViewParameters
from featurestore.views.request import COMBINED, FOLDS
from featurestore.views.sql import text_columns, view_sql

if TYPE_CHECKING:
    import torch
    from torch.utils.data import TensorDataset


@dataclass(frozen=True)
class Block:
    """The columns of one feature.

    Parameters
    ----------
    name : str
        "structure" or "text" in a view of the short form, else the feature as people write it.
    feature : Feature
        What it is, with ids.
    start, stop : int
        Which columns.
    segments : tuple of (str, int, int)
        The named slices of these columns, counted in the view's.
    """

    name: str
    feature: Feature
    start: int
    stop: int
    segments: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, repr=False)
class TrainingView(Shown):
    """Rows in order of material_id, with their features.

    Parameters
    ----------
    parameters : ViewParameters
        What was asked for.
    sql : str
        The query that selects the rows; it runs as it stands with ``featurestore sql``.
    rows : pyarrow.Table
        material_id, structure_id, text_id, fold, target, n_tokens, truncated; n rows. The columns
        of further texts and of features that are numbers: see `view_sql`.
    features : ndarray, shape (n, width), float32
        The features in the order in which they were asked for; in the short form the structure's
        vector, then the text's.
    blocks : tuple of Block
        Which columns of ``features`` belong to which feature.
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
    blocks: tuple[Block, ...]
    excluded: dict[str, int]
    versions: dict[str, int]

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @cached_property
    def segments(self) -> tuple[tuple[str, int, int], ...]:
        """Named slices of ``features``, for example ``("structure.atom", 0, 256)``."""
        return tuple(segment for block in self.blocks for segment in block.segments)

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
        for block in self.blocks:
            if isinstance(block.feature, VectorFeature):
                values = np.ascontiguousarray(self.features[:, block.start : block.stop])
                vectors = pa.FixedSizeListArray.from_arrays(
                    pa.array(values.reshape(-1)), block.stop - block.start
                )
                table = table.append_column(f"{block.name}_vector", vectors)
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
        digest.update(canonical_json([self.parameters.identity(), self.sql]).encode("utf-8"))
        further = range(2, len(self.parameters.texts) + 1)
        texts = [text_columns(1)[0], *(text_columns(number)[0] for number in further)]
        for name in ("material_id", "structure_id", *texts, "fold"):
            digest.update(canonical_json(self.rows[name].to_pylist()).encode("utf-8"))
        digest.update(self.targets.astype("<f8").tobytes())
        digest.update(np.ascontiguousarray(self.features, dtype="<f4").data)
        return digest.hexdigest()

    def showing(self) -> Showing:
        """What the view is of, its columns, and its first rows without the vectors."""
        p = self.parameters
        facts = {
            "target": f"{p.property} ({p.unit}, {p.property_source})",
            "split": "none" if p.split is None else f"{p.split}: {self._fold_sizes()}",
            **({"only where": p.where} if p.where else {}),
            **{block.name: f"columns {block.start}:{block.stop}" for block in self.blocks},
            "fingerprint": self.fingerprint[:12],
        }
        lacking = [f"left out: {n} materials without a {what}" for what, n in self.excluded.items()]
        shown = self.rows.select(["material_id", "fold", "target"])
        size = f"{len(self):,} rows × {self.features.shape[1]} features"
        return Showing(f"Training view of {p.property}, {size}", facts, shown, tuple(lacking))

    def _fold_sizes(self) -> str:
        return ", ".join(f"{int(self.in_fold(fold).sum()):,} {fold}" for fold in FOLDS)


@dataclass(frozen=True)
class Part:
    """A feature whose columns are still to be read.

    Parameters
    ----------
    block : Block
        Where its columns go.
    column : str
        The column of the view's rows that holds its keys, or its numbers.
    vectors : Vectors or None
        Where its vectors are; None for numbers.
    of_vector : slice
        Which part of a vector.
    """

    block: Block
    column: str
    vectors: Vectors | None
    of_vector: slice


@dataclass(frozen=True)
class SelectedView:
    """The rows of a training view whose vectors are still to be read.

    Parameters
    ----------
    parameters, sql, rows, excluded, versions
        As in `TrainingView`.
    parts : tuple of Part
        In the order of their columns.
    """

    parameters: ViewParameters
    sql: str
    rows: pa.Table
    excluded: dict[str, int]
    versions: dict[str, int]
    parts: tuple[Part, ...]

    def read(self) -> TrainingView:
        """Read the vectors into one preallocated array; no session is needed any more.

        Raises
        ------
        StorageError
            If the storage refuses a read.
        """
        width = self.parts[-1].block.stop if self.parts else 0
        features = np.empty((self.rows.num_rows, width), dtype=np.float32)
        for part in self.parts:
            out = features[:, part.block.start : part.block.stop]
            if part.vectors is None:
                out[:, 0] = self.rows[part.column].to_numpy()
            else:
                part.vectors.read(self.rows[part.column], part.of_vector, out)
        return TrainingView(
            parameters=self.parameters,
            sql=self.sql,
            rows=self.rows,
            features=features,
            blocks=tuple(part.block for part in self.parts),
            excluded=self.excluded,
            versions=self.versions,
        )


def select_view(session: Session, parameters: ViewParameters) -> SelectedView:
    """Run the view's query, which joins keys only: a join with vectors would read all of them.

    Close the session before `SelectedView.read`: DuckDB gives its memory back only then.

    Raises
    ------
    MissingDataError
        If no material is left; the message counts what they lack and names the command to run.
    InvalidInputError
        If a feature by SQL is null or not finite for a material.
    UnknownNameError
        If the parameters, which a stranger may have written, name what the store does not have.
    """
    sql = view_sql(parameters)
    rows = session.read_only_query(sql)
    lacking = excluded(session, parameters, rows.num_rows)
    if not rows.num_rows:
        raise nothing_left(session, parameters, lacking)
    _check_numbers(parameters, rows)
    return SelectedView(
        parameters=parameters,
        sql=sql,
        rows=rows,
        excluded=lacking,
        versions=dict(session.versions),
        parts=view_parts_of(session, parameters),
    )


def view_blocks(session: Session, parameters: ViewParameters) -> tuple[Block, ...]:
    """Which columns each feature of a view has, without its rows."""
    return tuple(part.block for part in view_parts_of(session, parameters))


def view_parts_of(session: Session, parameters: ViewParameters) -> tuple[Part, ...]:
    """Where the columns of a view's features come from; raises as `select_view`."""
    found: list[Part] = []
    start, texts = 0, 0
    for feature in parameters.parts:
        if not isinstance(feature, VectorFeature):
            name = str(feature)
            block = Block(
                name=name,
                feature=feature,
                start=start,
                stop=start + 1,
                segments=((name, start, start + 1),),
            )
            found.append(Part(block, name, None, slice(0, 1)))
        else:
            encoder = find_encoder(session, feature.encoder_id, feature.kind)
            name = feature.kind
            if parameters.features == COMBINED:
                name = feature_label(session, feature, parameters.parts)
            slices = {one: (a, b) for one, a, b in encoder.segments}
            if feature.segment is not None:
                if feature.segment not in slices:
                    raise UnknownNameError(
                        f"segment of {encoder.encoder_id}", feature.segment, slices
                    )
                a, b = slices[feature.segment]
                segments: tuple[tuple[str, int, int], ...] = ((name, start, start + b - a),)
            else:
                a, b = 0, encoder.dimension
                segments = tuple(
                    (f"{name}.{n}", start + i, start + j) for n, i, j in encoder.segments
                )
            column = "structure_id"
            if feature.kind == "text":
                texts += 1
                column = text_columns(texts)[0]
            block = Block(
                name=name, feature=feature, start=start, stop=start + b - a, segments=segments
            )
            found.append(Part(block, column, Vectors.of(session, encoder), slice(a, b)))
        start = found[-1].block.stop
    return tuple(found)


def _check_numbers(parameters: ViewParameters, rows: pa.Table) -> None:
    for feature in parameters.parts:
        if isinstance(feature, VectorFeature):
            continue
        values = rows[str(feature)].to_numpy()
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype(np.float32))
        if not finite.all():
            culprit = rows["material_id"][int(np.argmin(finite))].as_py()
            raise InvalidInputError(
                f"the feature {str(feature)!r} is null, or no finite float32, for "
                f"{int((~finite).sum())} of {len(finite)} materials, the first is {culprit!r}: put "
                "coalesce(…) around it, or leave them out with --where"
            )


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


def view_parts(blocks: Iterable[Block]) -> dict[str, tuple[int, int]]:
    """All features, and the named segments of those that have several, as (start, stop).

    For example ``{"structure": (0, 3), "structure.atom": (0, 2), "structure.bond": (2, 3),
    "text": (3, 5)}``.
    """
    found = {}
    for block in blocks:
        found[block.name] = (block.start, block.stop)
        if len(block.segments) > 1:
            found |= {name: (start, stop) for name, start, stop in block.segments}
    return found
