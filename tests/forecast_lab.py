"""A store of caesium chloride cells with an encoder and a text source of a package of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_package import install

import ingest.stages.text
from featurestore.plugins import ENCODERS, TEXTS
from featurestore.store import FeatureStore
from ingest.library.structures import add_structures
from ingest.library.text import describe
from ingest.library.vectors import encode
from ingest.preparation import ModelPreparation
from train.library import fit

PROPERTY, SPLIT = "mbj_bandgap", "lab"
N = 80
CHOICES = {
    "structure_encoder": "lab-edges",
    "text_source": "lab-cubes",
    "text_encoder": "lab-letters",
    "split": SPLIT,
}
CODE = """
import numpy as np
from featurestore.failure import Failure
from featurestore.identity import canonical_json
from ingest.encoders.base import (
    EncoderPart, EncoderSpec, Segment, StructureVector, TextVector
)
from ingest.text.base import GeneratorSpec, Sentence, TextPart

VERSION = {"n": 1}
CALLS = {"edges": 0, "letters": 0, "cubes": 0}

class Edges:
    def __init__(self):
        parts = (Segment("size", 0, 2), Segment("kind", 2, 4))
        self.spec = EncoderSpec("lab-edges", "structure", 4, parts, {"version": VERSION["n"]})
    def encode(self, crystals):
        CALLS["edges"] += len(crystals)
        return [self.one(c) for c in crystals]
    def one(self, c):
        if "Xe" in c.species:
            return Failure("UnknownElementError", "the encoder does not know the element Xe")
        a = float(c.lattice[0, 0])
        kinds = [sum(map(ord, s)) / 100 for s in sorted(set(c.species))]
        return StructureVector(np.array([a, a * a, kinds[0], kinds[-1]], dtype=np.float32))

class Letters:
    def __init__(self):
        self.spec = EncoderSpec("lab-letters", "text", 2, (Segment("all", 0, 2),), {"version": 1})
    def encode(self, texts):
        CALLS["letters"] += len(texts)
        found = [np.array([len(t), t.count("e")], dtype=np.float32) for t in texts]
        return [TextVector(v, 5, False) for v in found]

class Cubes:
    spec = GeneratorSpec("lab-cubes", {"version": 1})
    def warm_up(self):
        pass
    def describe(self, crystal):
        CALLS["cubes"] += 1
        if "Kr" in crystal.species:
            raise ValueError("no words for krypton")
        words = "very " * int(crystal.lattice[0, 0]) + f"{crystal.lattice[0, 0]:.4f} "
        return [
            Sentence(f"The cell is {words}large.", "summary", ()),
            Sentence("It holds two atoms.", "summary", ()),
            Sentence("Eight neighbours surround each.", "sites", ()),
        ]

EDGES = EncoderPart(name="lab-edges", kind="structure", summary="Edges.",
                    make=lambda request: Edges(), licence="MIT")
LETTERS = EncoderPart(name="lab-letters", kind="text", summary="Letters.",
                      make=lambda request: Letters(), licence="MIT")
CUBES = TextPart(name="lab-cubes", summary="Cubes.", make=lambda request: Cubes(),
                 tags=("summary", "sites"), licence="MIT")
"""


def install_lab(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the package on the path; texts are made and files are read in this process."""
    install(
        folder,
        "forecast-lab",
        entry_points={
            ENCODERS: {"lab-edges": "lab_of_cubes:EDGES", "lab-letters": "lab_of_cubes:LETTERS"},
            TEXTS: {"lab-cubes": "lab_of_cubes:CUBES"},
        },
        modules={"lab_of_cubes": CODE},
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(ingest.stages.text, "InWorkers", _Here)
    monkeypatch.setattr(ModelPreparation, "_pool", lambda *_: None)


class _Here:
    """Takes the place of `InWorkers`: the same results, in this process."""

    def __init__(self, *, work, initializer, initargs, **_) -> None:  # type: ignore[no-untyped-def]
        self.work, self.start = work, lambda: initializer(*initargs)

    def run(self, items):  # type: ignore[no-untyped-def]
        from featurestore.failure import Failure

        self.start()
        for key, item in items:
            try:
                yield key, self.work(item)
            except Exception as error:
                yield key, Failure.of(error)


def poscar(a: float, elements: tuple[str, str] = ("Cs", "Cl")) -> str:
    """A caesium chloride cell with an edge of ``a`` Å."""
    first, second = elements
    return (
        f"cell\n1.0\n{a} 0 0\n0 {a} 0\n0 0 {a}\n{first} {second}\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
    )


def edge(index: int) -> float:
    """From 3.3 to 7 Å, in no order."""
    return 3.3 + 3.7 * ((index * 37) % N) / N


def target(index: int) -> float:
    """A smooth function of the edge, with a little noise; in eV."""
    noise = np.random.default_rng(index).normal(scale=0.05)
    return float(np.sin(edge(index)) + 2.0 + noise)


def make_lab_store(folder: Path, n_val: int = 20) -> FeatureStore:
    """The store with targets, folds, texts and vectors; its last 20 materials are tested on."""
    files = folder / "known"
    files.mkdir(parents=True)
    lines = ["material_id," + PROPERTY]
    for index in range(N):
        (files / f"known-{index:02}.vasp").write_text(poscar(edge(index)))
        lines.append(f"known-{index:02},{target(index)!r}")
    (folder / "targets.csv").write_text("\n".join(lines) + "\n")
    store = FeatureStore.open(folder / "store", create=True)
    add_structures(store, files, properties=[folder / "targets.csv"], dataset="lab")
    with store.run("ingest splits", {}) as run:
        rows = [
            {
                "split": SPLIT,
                "property": PROPERTY,
                "material_id": f"known-{index:02}",
                "fold": "test" if index >= 60 else "val" if index >= 60 - n_val else "train",
                "run_id": run.run_id,
            }
            for index in range(N)
        ]
        store.merge_rows("splits", rows)
    describe(store, "lab-cubes")
    encode(store, "lab-edges")
    encode(store, "lab-letters", "lab-cubes")
    return store


def train_lab(store: FeatureStore, predictor: str = "sklearn", seed: int = 0, **settings) -> str:  # type: ignore[no-untyped-def]
    """Train on both vectors; the model's id."""
    if predictor == "sklearn":
        settings = {"estimator": "RandomForestRegressor", "n_estimators": 12} | settings
    view = store.training_view(PROPERTY, **CHOICES)
    return fit(store, view, predictor, seed=seed, **settings).model.model_id


def candidates(folder: Path, edges: dict[str, float]) -> Path:
    """A folder of new cells by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, a in edges.items():
        (folder / f"{name}.vasp").write_text(poscar(a))
    return folder


def calls() -> dict[str, int]:
    """How often the package was asked for something."""
    import lab_of_cubes  # type: ignore[import-not-found]

    return dict(lab_of_cubes.CALLS)
