"""Small crystals, JARVIS archives of them, and stand-ins for what a command hands to a stage."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.crystal import Crystal
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.pipeline.outcome import Outcome
from ingest.stages.structures import ingest_structures
from ingest.structures.jarvis import read_jarvis


class Silent:
    """Progress that nobody watches."""

    def update(self, done: int = 1) -> None:
        self.done = getattr(self, "done", 0) + done


def atoms(a: float = 4.0, elements: Sequence[str] = ("Cs", "Cl"), **changes: Any) -> dict[str, Any]:
    """The atoms of a caesium chloride cell with edge ``a`` in Å, as JARVIS writes them."""
    return {
        "lattice_mat": [[a, 0, 0], [0, a, 0], [0, 0, a]],
        "coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
        "elements": list(elements),
        "abc": [a, a, a],
        "angles": [90, 90, 90],
        "cartesian": False,
        "props": ["", ""],
    } | changes


def entry(jid: str, a: float = 4.0, *, cell: Any = None, **targets: Any) -> dict[str, Any]:
    """A record of a JARVIS archive."""
    return {"jid": jid, "atoms": atoms(a) if cell is None else cell, **targets}


def crystal(a: float = 4.0) -> Crystal:
    """The crystal of `atoms`."""
    cell = atoms(a)
    return Crystal(
        np.array(cell["lattice_mat"], dtype=float),
        tuple(cell["elements"]),
        np.array(cell["coords"], dtype=float),
    )


def write_archive(path: Path, entries: Iterable[Any]) -> Path:
    """Write a ``.json`` or ``.json.zip`` archive."""
    text = json.dumps(list(entries))
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.name.removesuffix(".zip"), text)
    else:
        path.write_text(text, "utf-8")
    return path


def ingest(
    store: FeatureStore, path: Path, run_id: str = "run", **options: Any
) -> tuple[Outcome, Outcome]:
    """Ingest an archive as data set "d"."""
    return ingest_structures(
        store,
        read_jarvis(path),
        dataset="d",
        registry=load_registry(),
        run=Run(run_id),
        progress=Silent(),
        workers=1,
        **options,
    )


def rows(store: FeatureStore, table: str) -> list[dict[str, Any]]:
    """The rows of a table without the columns that name a run or a time, in a fixed order."""
    found = store.sql(f"FROM {table}").to_pylist()
    dropped = ("run_id", "created_at")
    kept = [{name: row[name] for name in row if name not in dropped} for row in found]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))
