"""Stores of made-up materials whose targets are a known linear function of their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.identity import text_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table, table_schema

STRUCTURE_WIDTH = 4
TEXT_WIDTH = 3
PROPERTY = "mbj_bandgap"
SPLIT = "toy"
TAGS = ("summary", "bond length", "other")
STRUCTURE_ENCODER = "toy_graph_0000000001"
TEXT_ENCODER = "toy_text_0000000002"

_FEATURES = {
    "structure": {"structure_encoder": "toy-graph"},
    "text": {"text_encoder": "toy-text"},
    "structure+text": {"structure_encoder": "toy-graph", "text_encoder": "toy-text"},
}


def view_request(features: str, source: str = "robocrystallographer") -> dict[str, str]:
    """Keyword arguments of ``store.training_view`` for the toy encoders."""
    text = {"text_source": source} if "text" in features else {}
    return {"features": features, "split": SPLIT, **_FEATURES[features], **text}


def sentences(index: int, source: str) -> list[tuple[str, str]]:
    """Tag and sentence of material ``index``: bond lengths on even ones, 'other' on few."""
    found = [("summary", f"{source} summarises material {index}.")]
    if index % 2 == 0:
        found.append(("bond length", f"{source} bonds of {index} are long."))
    if index % 7 == 0:
        found.append(("other", f"{source} adds a word on {index}."))
    return found


@cache
def sentence_vector(sentence: str) -> npt.NDArray[np.float32]:
    """The vector of a sentence, shape (3,), float32; a text's is the sum of its sentences'."""
    seed = int(text_id(sentence)[:8], 16)
    vector = np.random.default_rng(seed).normal(size=TEXT_WIDTH).astype(np.float32)
    vector.flags.writeable = False
    return vector


def structure_vector(index: int) -> npt.NDArray[np.float32]:
    """The vector of structure ``index``, shape (4,), float32."""
    return np.random.default_rng(index).normal(size=STRUCTURE_WIDTH).astype(np.float32)


def text_vector(kept: Iterable[str]) -> npt.NDArray[np.float32]:
    """The vector of a text made of these sentences, shape (3,), float32."""
    return sum((sentence_vector(s) for s in kept), np.zeros(TEXT_WIDTH, np.float32))


def target(index: int, source: str = "robocrystallographer") -> float:
    """A linear function of the structure's vector and the full text's, in eV."""
    text = text_vector(s for _, s in sentences(index, source))
    return float(structure_vector(index).sum() + 0.5 * text.sum())


def fold(index: int) -> str:
    """Every fifth material is tested on, every fifth one stopped by."""
    return {3: "val", 4: "test"}.get(index % 5, "train")


def make_store(
    folder: Path,
    n: int = 60,
    *,
    erased: Sequence[str] = (),
    sources: Sequence[str] = ("robocrystallographer",),
    with_text: int | None = None,
    targets: npt.NDArray[np.float64] | None = None,
    structure_segments: Sequence[tuple[str, int, int]] = (("all", 0, STRUCTURE_WIDTH),),
) -> FeatureStore:
    """A store of ``n`` materials with both vectors.

    Parameters
    ----------
    folder : Path
        Where.
    n : int
        Number of materials.
    erased : sequence of str
        Tags whose removal from the text is embedded, too.
    sources : sequence of str
        Text sources.
    with_text : int
        Only so many materials have text; all by default.
    targets : ndarray, shape (n,)
        Other targets than the linear ones.
    structure_segments : sequence of (str, int, int)
        Name, start and stop of the parts of the structure's vector.
    """
    store = FeatureStore.open(folder, create=True)
    now, run = datetime.now(UTC), "toy-run"
    described = n if with_text is None else with_text
    store.merge_rows("materials", (_material(index) for index in range(n)))
    values = [target(i) for i in range(n)] if targets is None else targets
    store.merge_rows(
        "properties",
        (
            {
                "material_id": f"toy-{i:03}",
                "property": PROPERTY,
                "source": "toy",
                "value": float(values[i]),
                "unit": "eV",
                "run_id": run,
            }
            for i in range(n)
        ),
    )
    store.merge_rows(
        "splits",
        (
            {
                "split": SPLIT,
                "property": PROPERTY,
                "material_id": f"toy-{i:03}",
                "fold": fold(i),
                "run_id": run,
            }
            for i in range(n)
        ),
    )
    for encoder_id, name, kind, width, parts in (
        (STRUCTURE_ENCODER, "toy-graph", "structure", STRUCTURE_WIDTH, structure_segments),
        (TEXT_ENCODER, "toy-text", "text", TEXT_WIDTH, (("all", 0, TEXT_WIDTH),)),
    ):
        segments = [{"name": part, "start": a, "stop": b} for part, a, b in parts]
        row = {
            "encoder_id": encoder_id,
            "name": name,
            "kind": kind,
            "dimension": width,
            "segments": segments,
            "fingerprint": "{}",
            "created_at": now,
            "run_id": run,
        }
        store.merge_rows("encoders", [row])
    vectors = {f"structure-{i}": structure_vector(i) for i in range(n)}
    _merge_vectors(store, "structure", STRUCTURE_ENCODER, "structure_id", vectors)
    for source in sources:
        row = {
            "generator_id": f"{source}_0000000003",
            "source": source,
            "tags": list(TAGS),
            "reference_tags": ["summary", "bond length"],
            "fingerprint": "{}",
            "created_at": now,
            "run_id": run,
        }
        store.merge_rows("generators", [row])
        store.merge_rows(
            "sentences",
            (
                {
                    "structure_id": f"structure-{i}",
                    "generator_id": f"{source}_0000000003",
                    "position": position,
                    "tag": tag,
                    "reference_tags": [] if tag == "other" else [tag],
                    "sentence": sentence,
                    "run_id": run,
                }
                for i in range(described)
                for position, (tag, sentence) in enumerate(sentences(i, source))
            ),
        )
        embed_texts(store, range(described), source, [None, *erased])
    return store


def embed_texts(
    store: FeatureStore, indices: Iterable[int], source: str, erased: Sequence[str | None]
) -> None:
    """Put the vectors of texts into the store, full for None, else without the tag."""
    vectors = {}
    for index in indices:
        for without in erased:
            kept = [s for tag, s in sentences(index, source) if tag != without]
            vectors[text_id(" ".join(kept))] = text_vector(kept)
    _merge_vectors(store, "text", TEXT_ENCODER, "text_id", vectors)


def _merge_vectors(
    store: FeatureStore,
    kind: str,
    encoder_id: str,
    key: str,
    vectors: dict[str, npt.NDArray[np.float32]],
) -> None:
    width = len(next(iter(vectors.values())))
    name = embedding_table(kind, encoder_id)
    extra = {"n_tokens": 9, "truncated": False} if kind == "text" else {}
    rows = [
        {key: content, "vector": vector.tolist(), **extra, "run_id": "toy-run"}
        for content, vector in vectors.items()
    ]
    store.merge(name, pa.Table.from_pylist(rows, schema=table_schema(name, width).schema))


def _material(index: int) -> dict[str, object]:
    return {
        "material_id": f"toy-{index:03}",
        "structure_id": f"structure-{index}",
        "dataset": "toy",
        "source_file": "toy.json",
        "formula": "NaCl",
        "prototype": "AB",
        "n_atoms": 2,
        "volume": 40.0,
        "space_group_number": 225,
        "space_group": "Fm-3m",
        "crystal_system": "cubic",
        "point_group": "m-3m",
        "lattice": [3.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 3.0],
        "species": ["Na", "Cl"],
        "frac_coords": [0.0, 0.0, 0.0, 0.5, 0.5, 0.5],
        "run_id": "toy-run",
    }
