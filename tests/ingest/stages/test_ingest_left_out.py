"""Splits that leave out an element or a cluster of vectors in turn."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from synthetic_store import PROPERTY, make_store, structure_vector

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.quoting import SQL
from featurestore.splits import cross_validations, families, left_out
from featurestore.store import FeatureStore
from featurestore.upkeep.removals import of_split
from ingest.library.splits import add_splits
from ingest.stages.left_out import left_out_folds

METALS = ("Na", "K", "Rb", "Cs")
N = 24


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("left-out") / "store"
    store = make_store(folder, N)
    for place, metal in enumerate(METALS):
        ids = ", ".join(f"'toy-{i:03}'" for i in range(place, N, 4))
        store.update(
            "materials",
            SQL(f"material_id IN ({ids})"),
            {"species": SQL(f"make_array('{metal}', 'Cl')")},
        )
    return folder


@pytest.fixture
def store(original: Path, tmp_path: Path) -> FeatureStore:
    shutil.copytree(original, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


def folds(store: FeatureStore, split: str) -> dict[str, str]:
    rows = store.sql("SELECT material_id, fold FROM splits WHERE split = ?", [split])
    return {row["material_id"]: row["fold"] for row in rows.to_pylist()}


def test_each_element_is_left_out_but_those_that_all_have(store: FeatureStore) -> None:
    result = add_splits(store, leave_out="element", at_least=3, name="by", property=PROPERTY)
    with store.session() as session:
        found = left_out(session, "by", PROPERTY)
        assert found == {metal: f"by/{metal}" for metal in sorted(METALS)}
        assert families(session)["by", PROPERTY] == tuple(sorted(found.values()))
        assert not cross_validations(session)
    assert any("not left out: Cl, 24 materials, which leave 0" in one for one in result.summary())
    for place, metal in enumerate(METALS):
        of = folds(store, f"by/{metal}")
        tested = {one for one, fold in of.items() if fold == "test"}
        assert tested == {f"toy-{i:03}" for i in range(N) if i % 4 == place}
        assert sum(fold == "val" for fold in of.values()) == 2 and len(of) == N
    again = add_splits(store, leave_out="element", at_least=3, name="by", property=PROPERTY)
    assert again.written == 0


def test_a_cluster_is_of_vectors_that_are_alike(store: FeatureStore) -> None:
    """Against k-means written out from the same start: centres are means, members the nearest."""
    add_splits(store, folds=3, group_by="cluster:toy-graph:3", name="cv", property=PROPERTY)
    vectors = np.array([structure_vector(i) for i in range(N)], dtype=np.float64)
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    label = np.full(N, -1)
    for k in range(3):
        for one, fold in folds(store, f"cv/{k}").items():
            if fold == "test":
                label[int(one[-3:])] = k
    assert set(label) == {0, 1, 2}
    centres = np.array([scaled[label == k].mean(axis=0) for k in range(3)])
    nearest = ((scaled[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert list(nearest) == list(label)


def test_clusters_by_name_are_left_out_too(store: FeatureStore) -> None:
    add_splits(store, leave_out="cluster:toy-graph:3", at_least=1, name="by", property=PROPERTY)
    with store.session() as session:
        found = left_out(session, "by", PROPERTY)
    assert list(found) == ["0", "1", "2"]
    sizes = [sum(f == "test" for f in folds(store, one).values()) for one in found.values()]
    assert sum(sizes) == N and sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("group", "error", "words"),
    [
        ("cluster:nobody:3", UnknownNameError, "nobody"),
        ("cluster:toy-text:3", InvalidInputError, "encodes texts"),
        ("cluster:toy-graph:99", MissingDataError, "24 different vectors"),
        ("cluster:toy-graph", InvalidInputError, "cluster:ENCODER:N"),
        ("cluster:toy-graph:1", InvalidInputError, "N from 2"),
        ("prototype", MissingDataError, "which leave 0 to train on"),
        ("n_atoms +", InvalidInputError, "n_atoms"),
    ],
)
def test_what_cannot_be_left_out(
    store: FeatureStore, group: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        add_splits(store, leave_out=group, at_least=1, property=PROPERTY)


def test_a_material_without_a_vector_is_named(store: FeatureStore) -> None:
    store.update("materials", SQL("material_id = 'toy-003'"), {"structure_id": SQL("'unheard'")})
    with pytest.raises(MissingDataError, match="'toy-003'; make them with"):
        add_splits(store, leave_out="cluster:toy-graph:3", property=PROPERTY)


def test_too_few_of_each(store: FeatureStore) -> None:
    with pytest.raises(MissingDataError, match="24 materials, fewer than 25"):
        add_splits(store, leave_out="element", at_least=25, property=PROPERTY)
    with pytest.raises(InvalidInputError, match="1 material at least"):
        add_splits(store, leave_out="element", at_least=0, property=PROPERTY)


def test_they_are_not_extended_and_are_removed_together(store: FeatureStore) -> None:
    add_splits(store, leave_out="element", at_least=3, name="by", property=PROPERTY)
    with pytest.raises(InvalidInputError, match="have no rule for new materials"):
        add_splits(store, extend="by")
    with store.session() as session:
        removal = of_split(session, "by")
        with pytest.raises(InvalidInputError, match="one of those of 'by'"):
            of_split(session, "by/K")
    assert len(removal.last) == 2


def test_the_stop_fold_depends_on_the_seed_alone() -> None:
    holders = {f"m{i}": [METALS[i % 4]] for i in range(40)}
    first, again, other = (left_out_folds(holders, 1, seed, "element").folds for seed in (0, 0, 1))
    assert first == again and first != other
