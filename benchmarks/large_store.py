"""A store of any size for benchmarks: vectors of a real store, repeated and jittered, or random.

The materials are made up. Every structure has ten sentences of one generator, a structure vector
and the vector of its full text. Vectors differ from row to row, so that a wrong row shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.identity import text_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import TABLES, embedding_table, table_schema

PROPERTY = "mbj_bandgap"
SPLIT = "made-up"
SOURCE = "robocrystallographer"
GENERATOR = f"{SOURCE}_0000000003"
ENCODERS = {"structure": "made_up_graph_0000000001", "text": "made_up_text_0000000002"}
REQUEST = {
    "structure_encoder": ENCODERS["structure"],
    "text_source": SOURCE,
    "text_encoder": ENCODERS["text"],
    "split": SPLIT,
}
SENTENCES = 10
_ROWS = 25_000
_JITTER = 0.05
_SYSTEMS = ("cubic", "tetragonal", "orthorhombic", "hexagonal", "trigonal", "monoclinic")
_WORDS = "is bonded in a distorted square-planar geometry to four equivalent O atoms; all bonds are"


def make_store(
    folder: Path | str, materials: int, width: int, real: Path | None, *, texts: bool = True
) -> str:
    """Fill a store; returns a line that says where its vectors come from.

    Parameters
    ----------
    folder : Path or str
        Where; it must not exist.
    materials : int
        Number of materials, each with one target, one fold and its vectors.
    width : int
        Of each of the two vectors.
    real : Path or None
        A store whose vectors are repeated and jittered by 5 % of each column's spread; None for
        random ones.
    texts : bool
        Whether there are sentences and text vectors, too.
    """
    store = FeatureStore.open(folder, create=True)
    kinds = ("structure", "text") if texts else ("structure",)
    sources = {kind: _real_vectors(real, kind, width) for kind in kinds}
    _register(store, width)
    for numbers in _chunks(materials):
        store.merge("materials", materials_table(numbers))
        store.merge("properties", _properties(numbers))
        store.merge("splits", _splits(numbers))
        ids = {"structure": [structure_id(i) for i in numbers]}
        if texts:
            ids["text"] = [text_id(full_text(i)) for i in numbers]
            store.merge("sentences", _sentences(numbers))
        for kind in kinds:
            vectors = _vectors(numbers, kind, width, sources[kind])
            store.merge(embedding_table(kind, ENCODERS[kind]), _rows(kind, ids[kind], vectors))
    for table in store.tables():
        store.compact(table)
    if real is None:
        return "vectors: random (seeded)"
    return f"vectors: of {real}, repeated and jittered by {_JITTER:.0%} of each column's spread"


def structure_id(number: int) -> str:
    """As long as a real one."""
    return text_id(f"made-up-{number}")


def sentences(number: int) -> list[str]:
    """Ten sentences of about the length of real ones."""
    return [f"M{number % 97}({position}) {_WORDS} {number}.{position} Å." for position in range(10)]


def full_text(number: int) -> str:
    """The text whose vector is stored."""
    return " ".join(sentences(number))


def _chunks(materials: int) -> Iterator[range]:
    for first in range(0, materials, _ROWS):
        yield range(first, min(first + _ROWS, materials))


def _real_vectors(place: Path | None, kind: str, width: int) -> npt.NDArray[np.float32] | None:
    if place is None:
        return None
    store = FeatureStore.open(place)
    rows = store.sql(f"SELECT encoder_id FROM encoders WHERE kind = '{kind}' ORDER BY encoder_id")
    for encoder_id in rows["encoder_id"].to_pylist():
        dataset = store.dataset(embedding_table(kind, encoder_id))
        if dataset is None:
            continue
        column = dataset.to_table(columns=["vector"], limit=_ROWS)["vector"].combine_chunks()
        vectors = column.flatten().to_numpy().reshape(len(column), -1)
        repeats = -(-width // vectors.shape[1])
        return np.ascontiguousarray(np.tile(vectors, (1, repeats))[:, :width])
    return None


def _vectors(
    numbers: range, kind: str, width: int, real: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    random = np.random.default_rng([numbers.start, kind == "text"])
    noise = random.standard_normal((len(numbers), width), dtype=np.float32)
    if real is None:
        return noise
    noise *= _JITTER * real.std(axis=0)
    noise += real[np.asarray(numbers) % len(real)]
    return noise


def _rows(kind: str, ids: list[str], vectors: npt.NDArray[np.float32]) -> pa.Table:
    width = vectors.shape[1]
    columns = {
        f"{kind}_id": pa.array(ids),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width),
        "run_id": _same("made-up", len(ids)),
    }
    if kind == "text":
        columns["n_tokens"] = pa.array(np.full(len(ids), 200, np.int32))
        columns["truncated"] = _same(False, len(ids))
    schema = table_schema(embedding_table(kind, ENCODERS[kind]), width).schema
    return pa.Table.from_pydict(columns).select(schema.names)


def _same(value: object, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)


def _names(numbers: range) -> list[str]:
    return [f"made-up-{i:07}" for i in numbers]


def materials_table(numbers: range) -> pa.Table:
    n = len(numbers)
    random = np.random.default_rng(numbers.start)
    atoms = random.integers(1, 9, n)
    coords = random.random(3 * int(atoms.sum()))
    offsets = np.concatenate([[0], np.cumsum(atoms)]).astype(np.int32)
    columns = {
        "material_id": _names(numbers),
        "structure_id": [structure_id(i) for i in numbers],
        "dataset": _same("made-up", n),
        "source_file": _same("made-up.json", n),
        "formula": [f"Na{a}Cl{i % 7}" for i, a in zip(numbers, atoms, strict=True)],
        "prototype": _same("AB", n),
        "n_atoms": pa.array(atoms.astype(np.int32)),
        "volume": pa.array(20.0 * atoms + random.random(n)),
        "space_group_number": pa.array(random.integers(1, 231, n).astype(np.int32)),
        "space_group": [f"P{i % 230}" for i in numbers],
        "crystal_system": [_SYSTEMS[i % len(_SYSTEMS)] for i in numbers],
        "point_group": _same("m-3m", n),
        "lattice": pa.FixedSizeListArray.from_arrays(pa.array(random.random(9 * n)), 9),
        "species": pa.ListArray.from_arrays(offsets, _same("Na", int(atoms.sum()))),
        "frac_coords": pa.ListArray.from_arrays(3 * offsets, pa.array(coords)),
        "run_id": _same("made-up", n),
    }
    names = [name for name in TABLES["materials"].schema.names if name in columns]
    return pa.Table.from_pydict(columns).select(names)


def _properties(numbers: range) -> pa.Table:
    random = np.random.default_rng(numbers.start)
    return pa.table(
        {
            "material_id": _names(numbers),
            "property": _same(PROPERTY, len(numbers)),
            "source": _same("made-up", len(numbers)),
            "value": random.random(len(numbers)),
            "unit": _same("eV", len(numbers)),
            "run_id": _same("made-up", len(numbers)),
        }
    )


def _splits(numbers: range) -> pa.Table:
    folds = ("train", "train", "train", "val", "test")
    return pa.table(
        {
            "split": _same(SPLIT, len(numbers)),
            "property": _same(PROPERTY, len(numbers)),
            "material_id": _names(numbers),
            "fold": [folds[i % len(folds)] for i in numbers],
            "run_id": _same("made-up", len(numbers)),
        }
    )


def _sentences(numbers: range) -> pa.Table:
    n = len(numbers) * SENTENCES
    return pa.table(
        {
            "structure_id": [structure_id(i) for i in numbers for _ in range(SENTENCES)],
            "generator_id": _same(GENERATOR, n),
            "position": pa.array(np.tile(np.arange(SENTENCES, dtype=np.int32), len(numbers))),
            "tag": _same("bond length", n),
            "reference_tags": pa.array([["bond length"]] * n),
            "sentence": [sentence for i in numbers for sentence in sentences(i)],
            "run_id": _same("made-up", n),
        }
    )


def _register(store: FeatureStore, width: int) -> None:
    now = datetime.now(UTC)
    for kind, encoder_id in ENCODERS.items():
        row = {
            "encoder_id": encoder_id,
            "name": encoder_id.rsplit("_", 1)[0],
            "kind": kind,
            "dimension": width,
            "segments": [{"name": "all", "start": 0, "stop": width}],
            "fingerprint": "{}",
            "created_at": now,
            "run_id": "made-up",
        }
        store.merge_rows("encoders", [row])
    generator = {
        "generator_id": GENERATOR,
        "source": SOURCE,
        "tags": ["bond length"],
        "reference_tags": ["bond length"],
        "fingerprint": "{}",
        "created_at": now,
        "run_id": "made-up",
    }
    store.merge_rows("generators", [generator])
