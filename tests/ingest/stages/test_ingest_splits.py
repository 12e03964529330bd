"""Splits from files and at random, and the choice of materials by property, fold or SQL."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_materials import entry, ingest, rows, write_archive

from featurestore.errors import (
    ConflictError,
    FeatureStoreError,
    InvalidInputError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.stages.folds import parse_parts, random_folds, sampled_folds
from ingest.stages.selection import Selection
from ingest.stages.splits import (
    ingest_split,
    materials_with,
    property_of_file,
    read_split_file,
    stored_folds,
)

RUN = Run("run")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Six materials: a to d have a band gap, c to f an SLME; f has the structure of e."""
    folder = tmp_path_factory.mktemp("splits")
    store = FeatureStore.open(folder / "store", create=True)
    sizes = dict(zip("abcdef", (4, 5, 6, 7, 8, 8), strict=True))
    entries = [
        entry(
            name,
            size,
            mbj_bandgap=1 if name <= "d" else "na",
            slme=2 if name >= "c" else "na",
        )
        for name, size in sizes.items()
    ]
    ingest(store, write_archive(folder / "a.json", entries))
    folds = dict(zip("abcdef", ("train", "train", "val", "test", "test", "train"), strict=True))
    ingest_split(store, folds, split="mine", name=None, run=RUN)
    ingest_split(store, {"c": "test", "d": "train"}, split="mine", name="slme", run=RUN)
    return store


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open(tmp_path / "store", create=True)
    ingest(
        store, write_archive(tmp_path / "a.json", [entry(n, 4 + i) for i, n in enumerate("abcd")])
    )
    return store


def split_file(folder: Path, content: object) -> Path:
    path = folder / "split.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_in_the_papers_format(tmp_path):
    content = {"id_train": ["a", "b"], "id_val": [], "id_test": ["c"]}
    found = read_split_file(split_file(tmp_path, content))
    assert found == {"a": "train", "b": "train", "c": "test"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot read split file"),
        ('{"id_train": ["a"', "cannot read split file"),
        ([], "must hold an object .*found list"),
        ({"train": []}, r"must hold an object .*found \['train'\]"),
        ({"id_train": [], "id_val": []}, "id_train, id_val, id_test"),
        ({"id_train": [], "id_val": [], "id_test": [], "more": []}, "'more'"),
        (
            {"id_train": ["a"], "id_val": [3], "id_test": []},
            "id_val must be a list of material ids",
        ),
        ({"id_train": "abc", "id_val": [], "id_test": []}, "id_train must be a list"),
        ({"id_train": [""], "id_val": [], "id_test": []}, "id_train must be a list"),
        (
            {"id_train": ["a"], "id_val": [], "id_test": ["a"]},
            "a more than once: in train and test",
        ),
        ({"id_train": ["a", "b", "a"], "id_val": [], "id_test": []}, "more than once: in train"),
    ],
)
def test_a_file_of_another_format(tmp_path, content, message):
    with pytest.raises(InvalidInputError, match=message) as raised:
        read_split_file(split_file(tmp_path, content))
    assert "split.json" in str(raised.value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'{"\xe5": 1}')
    for name in ("missing.json", "latin.json", "."):
        with pytest.raises(InvalidInputError, match="cannot read split file"):
            read_split_file(tmp_path / name)


def test_the_property_is_in_the_files_name():
    assert property_of_file(Path("x/dataset_split_Tc_supercon.json")) == "Tc_supercon"
    assert property_of_file(Path("mine.json")) is None


@settings(max_examples=200, deadline=None)
@given(
    st.sets(st.text(min_size=1, max_size=4), min_size=3, max_size=60),
    st.tuples(st.integers(1, 100), st.integers(1, 100), st.integers(1, 100)),
    st.integers(0, 2**32),
    st.randoms(use_true_random=False),
)
def test_random_folds_are_a_repeatable_partition(ids, fractions, seed, shuffler):
    folds = random_folds(sorted(ids), fractions, seed)
    assert set(folds) == ids
    counts = Counter(folds.values())
    assert set(counts) == {"train", "val", "test"}
    for fold, part in zip(("val", "test"), fractions[1:], strict=True):
        exact = len(ids) * part / sum(fractions)
        assert abs(counts[fold] - exact) <= 1 or counts["train"] == 1
    shuffled = list(ids)
    shuffler.shuffle(shuffled)
    assert random_folds(shuffled, fractions, seed) == folds


def test_the_seed_matters():
    ids = [f"m{i}" for i in range(100)]
    drawn = [random_folds(ids, (80, 10, 10), seed) for seed in range(3)]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    assert Counter(drawn[0].values()) == {"train": 80, "val": 10, "test": 10}


def test_fractions():
    assert parse_parts("80/10/10") == (80, 10, 10)
    assert parse_parts("8/1/1") == (8, 1, 1)
    for text in ("80/20", "80/10/10/0", "80/20/0", "0.8/0.1/0.1", "-8/1/1", "a/b/c", "", "8 /1/1"):
        with pytest.raises(InvalidInputError, match="80/10/10"):
            parse_parts(text)


def test_materials_to_split(ready, store):
    assert sorted(materials_with(ready, None)) == list("abcdef")
    assert sorted(materials_with(ready, "slme")) == list("cdef")
    with pytest.raises(UnknownNameError, match="unknown property 'slmee'; did you mean 'slme'"):
        materials_with(ready, "slmee")
    store._tables.delete("materials", "material_id > 'b'")
    with pytest.raises(MissingDataError, match="has 2 materials; a split needs three"):
        materials_with(store, None)


def test_a_split_is_stored_once(store):
    folds = {"a": "train", "b": "train", "c": "val", "d": "test"}
    outcome = ingest_split(store, folds, split="s", name="slme", run=RUN)
    assert (outcome.written, outcome.present) == (4, 0)
    assert outcome.notes == ["split 's' for slme: 2 train, 1 val, 1 test"]
    outcome = ingest_split(store, folds, split="s", name="slme", run=RUN)
    assert (outcome.written, outcome.present) == (0, 4)
    assert {row["material_id"]: row["fold"] for row in rows(store, "splits")} == folds
    assert {row["property"] for row in rows(store, "splits")} == {"slme"}


def test_unknown_ids_are_counted_and_cleared_once_known(store, tmp_path):
    folds = {"a": "train", "x": "val", "d": "test", "it's": "train"}
    outcome = ingest_split(store, folds, split="s'", name=None, run=RUN)
    assert (outcome.written, set(outcome.failures)) == (2, {"x", "it's"})
    assert outcome.failures["x"].message == "the store has no material 'x'"
    assert store.failed_items("splits", "s' *") == {"x", "it's"}
    ingest(store, write_archive(tmp_path / "b.json", [entry("x", 9)]))
    ingest_split(store, folds, split="s'", name=None, run=RUN)
    assert store.failed_items("splits", "s' *") == {"it's"}


def test_no_known_id_at_all(store):
    with pytest.raises(MissingDataError, match="none of the 2 ids of split 's'"):
        ingest_split(store, {"x": "train", "y": "test"}, split="s", name=None, run=RUN)
    assert rows(store, "splits") == [] and rows(store, "failures") == []


def test_another_fold_than_the_stores_is_refused_whole(store):
    ingest_split(store, {"a": "train", "b": "val"}, split="s", name=None, run=RUN)
    with pytest.raises(ConflictError, match=r"'s' for \* has b in val, this one has it in test"):
        ingest_split(store, {"c": "train", "b": "test"}, split="s", name=None, run=RUN)
    assert len(rows(store, "splits")) == 2
    ingest_split(store, {"b": "test"}, split="s", name="slme", run=RUN)
    ingest_split(store, {"b": "test"}, split="t", name=None, run=RUN)
    assert len(rows(store, "splits")) == 4


def chosen(store: FeatureStore, **choice: object) -> str:
    """The materials of the chosen structures, as one string."""
    with store.session() as session:
        ids = Selection(**choice).structure_ids(session)
        known = session.query("SELECT material_id, structure_id FROM materials").to_pylist()
    assert len(ids) == len(set(ids))
    return "".join(sorted(row["material_id"] for row in known if row["structure_id"] in ids))


@pytest.mark.parametrize(
    ("choice", "materials"),
    [
        ({}, "abcdef"),
        ({"properties": ("mbj_bandgap",)}, "abcd"),
        ({"properties": ("mbj_bandgap", "slme")}, "abcdef"),
        ({"properties": ("mbj_bandgap",), "split": "mine"}, "abcd"),
        ({"properties": ("mbj_bandgap",), "split": "mine", "fold": "train"}, "ab"),
        # The split made for slme has c and d elsewhere; e and f are as for all materials.
        ({"properties": ("slme",), "split": "mine", "fold": "test"}, "cef"),
        ({"properties": ("slme",), "split": "mine", "fold": "val"}, ""),
        ({"where": "volume < 100"}, "a"),
        ({"where": "material_id IN ('a', 'f')"}, "aef"),
        ({"where": "volume < 100 -- small ones"}, "a"),
        ({"where": "false OR material_id = 'b'", "properties": ("slme",)}, ""),
        ({"where": "material_id IN (SELECT material_id FROM splits WHERE fold = 'val')"}, "c"),
    ],
)
def test_choices_of_materials(ready, choice, materials):
    assert chosen(ready, **choice) == materials


def test_smallest_cells_come_first(ready):
    with ready.session() as session:
        ids = Selection().structure_ids(session)
        sizes = session.query("SELECT structure_id, n_atoms FROM materials").to_pylist()
    by_id = {row["structure_id"]: row["n_atoms"] for row in sizes}
    assert len(ids) == 5
    assert [by_id[name] for name in ids] == sorted(by_id[name] for name in ids)


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({"properties": ("slmee",)}, UnknownNameError, "did you mean 'slme'"),
        ({"properties": ("it's",)}, UnknownNameError, "unknown property"),
        ({"split": "mine"}, InvalidInputError, "together with one --property"),
        ({"split": "mine", "properties": ("slme", "mbj_bandgap")}, InvalidInputError, "one --prop"),
        ({"split": "main", "properties": ("slme",)}, UnknownNameError, "did you mean 'mine'"),
        ({"where": "true) OR (true"}, InvalidInputError, "not one expression"),
        ({"where": "volum < 3"}, UnknownNameError, "did you mean 'volume'"),
        ({"where": "volume <"}, InvalidInputError, "syntax error"),
        (
            {"where": "true); DROP VIEW materials; SELECT (1"},
            InvalidInputError,
            "not one expression",
        ),
        ({"where": "true) UNION SELECT * FROM read_csv('/etc/passwd') --"}, FeatureStoreError, ""),
        ({"where": "(SELECT count(*) FROM read_text('/etc/passwd')) > 0"}, QueryError, "disabled"),
        ({"where": "material_id = ?"}, QueryError, "."),
        ({"where": "material_id = $name"}, QueryError, "."),
    ],
)
def test_choices_that_cannot_be_made(ready, choice, error, message):
    with pytest.raises(error, match=message):
        chosen(ready, **choice)
    assert chosen(ready) == "abcdef"


def test_a_fold_without_a_split(ready):
    with pytest.raises(InvalidInputError, match="--fold"):
        chosen(ready, fold="train", properties=("slme",))


def test_names_with_quotes(ready):
    row = ready.sql("FROM properties WHERE material_id = 'a'").to_pylist()[0]
    name = "it's; --"
    ready.merge_rows("properties", [row | {"property": name}])
    assert chosen(ready, properties=(name,)) == "a"
    ready._tables.delete("properties", "property = 'it''s; --'")


FOLDS = {f"m{i:03}": ("train", "val", "test")[min(i // 60, 2)] for i in range(180)}


def test_a_sample_keeps_folds_and_smaller_ones_are_part_of_larger_ones():
    large = sampled_folds(FOLDS, (50, 20, 100), seed=1)
    assert Counter(large.values()) == {"train": 50, "val": 20, "test": 60}
    assert large.items() <= FOLDS.items()
    small = sampled_folds(dict(reversed(FOLDS.items())), (10, 20, 5), seed=1)
    assert Counter(small.values()) == {"train": 10, "val": 20, "test": 5}
    assert small.items() <= large.items()
    assert sampled_folds(FOLDS, (10, 20, 5), seed=2) != small


def test_folds_of_a_stored_split_under_a_condition(ready):
    assert stored_folds(ready, "mine", "mbj_bandgap") == {
        "a": "train",
        "b": "train",
        "c": "val",
        "d": "test",
    }
    assert set(stored_folds(ready, "mine", "mbj_bandgap", "material_id != 'a'")) == set("bcd")
    with pytest.raises(
        MissingDataError, match=r"val fold of split 'mine' has no material .*'slme'"
    ):
        stored_folds(ready, "mine", "slme")
    with pytest.raises(MissingDataError, match="for which 'n_atoms > 5' holds"):
        stored_folds(ready, "mine", "mbj_bandgap", "n_atoms > 5")
    with pytest.raises(UnknownNameError, match="unknown split 'min'"):
        stored_folds(ready, "min", "mbj_bandgap")
    with pytest.raises(InvalidInputError, match="not one expression"):
        stored_folds(ready, "mine", "mbj_bandgap", "true; true")


def test_a_sample_does_not_join_another_of_its_name(store):
    ingest_split(store, {"a": "train", "b": "val"}, split="s", name=None, run=RUN)
    same = {"b": "val", "a": "train"}
    outcome = ingest_split(store, same, split="s", name=None, run=RUN, may_grow=False)
    assert (outcome.written, outcome.present) == (0, 2)
    for other in ({"a": "train"}, same | {"c": "test"}):
        with pytest.raises(ConflictError, match=r"exists with other materials, for example [bc];"):
            ingest_split(store, other, split="s", name=None, run=RUN, may_grow=False)
