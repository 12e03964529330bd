"""Cross-validations as splits, and splits that take in the materials that have come since."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_materials import atoms, entry, ingest, write_archive

from featurestore.catalogue import check_split
from featurestore.errors import (
    ConflictError,
    InvalidInputError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.splits import cross_validation, next_version, split_rule, split_versions
from featurestore.store import FeatureStore
from ingest.cli.root import ingest as command
from ingest.library.splits import add_splits
from ingest.recording import NothingSucceededError
from ingest.stages.folds import extended_folds
from ingest.stages.split_extension import cross_extensions

ELEMENTS = ("Na", "K", "Rb", "Cs")
PROPERTY = "mbj_bandgap"


def more(store: FeatureStore, folder: Path, numbers: range) -> None:
    """Materials m00, m01 …: four formulas in turn, every third without a target."""
    entries = [
        entry(
            f"m{i:02}",
            cell=atoms(4 + i / 100, elements=(ELEMENTS[i % 4], "Cl")),
            mbj_bandgap="na" if i % 3 == 2 else i / 10,
        )
        for i in numbers
    ]
    ingest(store, write_archive(folder / f"{numbers.start}.json", entries))


def folds(store: FeatureStore, split: str, key: str = "*") -> dict[str, str]:
    rows = store.sql(
        "SELECT material_id, fold FROM splits WHERE split = ? AND property = ?", [split, key]
    )
    return {row["material_id"]: row["fold"] for row in rows.to_pylist()}


def formulas(store: FeatureStore) -> dict[str, str]:
    rows = store.sql("SELECT material_id, formula FROM materials").to_pylist()
    return {row["material_id"]: row["formula"] for row in rows}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    found = FeatureStore.open(tmp_path / "store", create=True)
    more(found, tmp_path, range(30))
    return found


def kept_together(groups: Mapping[str, str], of: Mapping[str, str]) -> bool:
    seen = defaultdict(set)
    for name, fold in of.items():
        seen[groups[name]].add(fold)
    return all(len(there) == 1 for there in seen.values())


def test_every_material_is_tested_once(store):
    result = add_splits(store, folds=5, name="cv5")
    assert result.written == 150
    with store.session() as session:
        names = cross_validation(session, "cv5", PROPERTY)
    assert names == tuple(f"cv5/{number}" for number in range(5))
    of_each = [folds(store, name) for name in names]
    tested = Counter(name for one in of_each for name, fold in one.items() if fold == "test")
    assert set(tested.values()) == {1} and len(tested) == 30
    for one in of_each:
        assert Counter(one.values()) == {"train": 22, "val": 2, "test": 6}


def test_the_same_command_draws_the_same(store, tmp_path):
    add_splits(store, folds=3, seed=7)
    again = add_splits(store, folds=3, seed=7)
    assert (again.outcomes[0].written, again.outcomes[0].present) == (0, 90)
    other = FeatureStore.open(tmp_path / "other", create=True)
    more(other, tmp_path, range(30))
    add_splits(other, folds=3, seed=7)
    for number in range(3):
        assert folds(store, f"cv3-seed-7/{number}") == folds(other, f"cv3-seed-7/{number}")
    with store.session() as session:
        assert [one.version for one in split_versions(session)] == [1, 1, 1]


def test_the_name_of_a_cross_validation_is_no_split(store):
    add_splits(store, folds=3, name="cv")
    with store.session() as session:
        check_split(session, "cv/1", PROPERTY)
        with pytest.raises(InvalidInputError, match="name one of its splits: cv/0, cv/1, cv/2"):
            check_split(session, "cv", PROPERTY)


def test_ten_folds_come_in_the_order_of_their_numbers(store):
    add_splits(store, folds=11, name="cv", property=PROPERTY)
    with store.session() as session:
        names = cross_validation(session, "cv", PROPERTY)
        assert names == tuple(f"cv/{number}" for number in range(11))
        with pytest.raises(UnknownNameError, match="cross-validation for slme"):
            cross_validation(session, "cv", "slme")


def test_groups_stay_together_in_every_split(store):
    add_splits(store, folds=2, group_by="formula", name="by-formula")
    for number in range(2):
        assert kept_together(formulas(store), folds(store, f"by-formula/{number}"))


def test_more_folds_than_groups(store):
    with pytest.raises(MissingDataError, match="in 4 groups; 5 folds need as many"):
        add_splits(store, folds=5, group_by="formula")
    with pytest.raises(MissingDataError, match="in 30 groups; 31 folds"):
        add_splits(store, folds=31)
    with pytest.raises(InvalidInputError, match="two folds at least, not 1"):
        add_splits(store, folds=1)
    with pytest.raises(InvalidInputError, match="two folds at least, not 0"):
        add_splits(store, folds=0)
    assert store.dataset("splits") is None and store.dataset("split_versions") is None


def test_a_rest_of_one_group_cannot_be_stopped_by(store):
    with pytest.raises(MissingDataError, match="in 1 group, and training needs two"):
        add_splits(store, folds=2, group_by="formula = 'NaCl'")


@pytest.mark.parametrize("key", [None, PROPERTY])
def test_extending_keeps_every_fold(store, tmp_path, key):
    add_splits(store, random="60/20/20", seed=3, name="mine", property=key)
    before = folds(store, "mine", key or "*")
    more(store, tmp_path, range(30, 60))
    result = add_splits(store, extend="mine")
    after = folds(store, "mine", key or "*")
    assert before.items() <= after.items()
    expected = 60 if key is None else 40
    assert len(after) == expected and result.written == expected - len(before)
    assert Counter(after.values()) == {
        "train": expected * 6 // 10,
        "val": expected * 2 // 10,
        "test": expected * 2 // 10,
    }
    assert "added, version 2" in result.summary()[1]
    again = add_splits(store, extend="mine")
    assert again.written == 0 and "has every material" in again.summary()[1]
    with store.session() as session:
        versions = split_versions(session, "mine")
    assert [(one.version, one.materials) for one in versions] == [
        (1, len(before)),
        (2, expected - len(before)),
    ]
    assert {one.rule["parts"] for one in versions} == {"60/20/20"}
    assert versions[1].run_id == result.run_id


def test_an_extension_depends_on_rule_and_materials_alone(store, tmp_path):
    other = FeatureStore.open(tmp_path / "other", create=True)
    more(other, tmp_path, range(30))
    for one in (store, other):
        add_splits(one, random="60/20/20", name="mine")
        more(one, tmp_path, range(30, 60))
        add_splits(one, extend="mine")
    assert folds(store, "mine") == folds(other, "mine")


def test_a_known_group_goes_where_it_is(store, tmp_path):
    add_splits(store, random="50/25/25", group_by="formula", name="mine")
    more(store, tmp_path, range(30, 60))
    extra = [entry("new", cell=atoms(5, elements=("Li", "F")))]
    ingest(store, write_archive(tmp_path / "extra.json", extra))
    add_splits(store, extend="mine")
    after = folds(store, "mine")
    assert len(after) == 61 and kept_together(formulas(store), after)


def test_a_cross_validation_is_extended_as_a_whole(store, tmp_path):
    add_splits(store, folds=4, group_by="formula", name="cv4", property=PROPERTY)
    before = [folds(store, f"cv4/{number}", PROPERTY) for number in range(4)]
    more(store, tmp_path, range(30, 50))
    with pytest.raises(InvalidInputError, match="extend all of it with --extend cv4"):
        add_splits(store, extend="cv4/2")
    add_splits(store, extend="cv4")
    after = [folds(store, f"cv4/{number}", PROPERTY) for number in range(4)]
    tested = Counter(name for one in after for name, fold in one.items() if fold == "test")
    assert set(tested.values()) == {1} and len(tested) == len(after[0]) > len(before[0])
    for old, new in zip(before, after, strict=True):
        assert old.items() <= new.items()
        assert kept_together(formulas(store), new)


@pytest.mark.slow
def test_a_killed_extension_is_done_again_with_the_same_draw(store, tmp_path, monkeypatch):
    other = FeatureStore.open(tmp_path / "other", create=True)
    more(other, tmp_path, range(30))
    for one in (store, other):
        add_splits(one, folds=3, name="cv")
        more(one, tmp_path, range(30, 40))
    add_splits(other, extend="cv")
    merge = FeatureStore.merge

    def killed(self: FeatureStore, table: str, *arguments: Any, **options: Any) -> Any:
        if table == "splits":
            raise KeyboardInterrupt
        return merge(self, table, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "merge", killed)
        with pytest.raises(KeyboardInterrupt):
            add_splits(store, extend="cv")
    with store.session() as session:
        assert next_version(session, "cv/0", "*") == (2, True)
    assert len(folds(store, "cv/0")) == 30
    add_splits(store, extend="cv")
    for number in range(3):
        assert folds(store, f"cv/{number}") == folds(other, f"cv/{number}")
    with store.session() as session:
        assert [one.version for one in split_versions(session, "cv/1")] == [1, 2]


def test_a_split_of_an_earlier_release_has_the_rule_of_its_run(store, tmp_path):
    add_splits(store, random="80/10/10", seed=5, group_by="formula", name="old")
    store.remove("split_versions", "true")
    with store.session() as session:
        rule = split_rule(session, "old", "*")
    expected = {"way": "random", "parts": "80/10/10", "seed": 5, "group_by": "formula"}
    assert rule == expected
    more(store, tmp_path, range(30, 34))
    add_splits(store, extend="old")
    with store.session() as session:
        [version] = split_versions(session, "old")
    assert (version.version, version.rule, version.materials) == (2, expected, 4)


def test_a_split_from_a_file_needs_a_rule(store, tmp_path):
    ids = sorted(formulas(store))
    content = {"id_train": ids[:20], "id_val": ids[20:25], "id_test": ids[25:]}
    path = tmp_path / "folds.json"
    path.write_text(json.dumps(content), "utf-8")
    add_splits(store, [path], name="paper")
    more(store, tmp_path, range(30, 40))
    with pytest.raises(InvalidInputError, match=r"was read from a file.*--random 80/10/10"):
        add_splits(store, extend="paper")
    add_splits(store, extend="paper", random="80/10/10", seed=1)
    after = folds(store, "paper")
    assert len(after) == 40 and {after[name] for name in ids[25:30]} == {"test"}
    more(store, tmp_path, range(40, 50))
    add_splits(store, extend="paper")
    assert len(folds(store, "paper")) == 50


def test_extending_what_cannot_be(store):
    with pytest.raises(UnknownNameError, match="unknown split 'nothing'"):
        add_splits(store, extend="nothing")
    add_splits(store, random="80/10/10", name="mine", property=PROPERTY)
    with pytest.raises(MissingDataError, match="no folds for property 'slme', only for mbj_b"):
        add_splits(store, extend="mine", property="slme")
    with pytest.raises(InvalidInputError, match="has a rule, --random 80/10/10 with seed 0"):
        add_splits(store, extend="mine", random="80/10/10")
    with pytest.raises(InvalidInputError, match="keeps its name"):
        add_splits(store, extend="mine", name="other")
    with pytest.raises(InvalidInputError, match="a seed is a whole number"):
        add_splits(store, folds=3, seed=-1)
    add_splits(store, sample="mine", at_most="9/1/1", property=PROPERTY, name="few")
    with pytest.raises(InvalidInputError, match="drawn from another split"):
        add_splits(store, extend="few")
    add_splits(store, folds=3, name="cv")
    add_splits(store, folds=3, name="cv", property=PROPERTY)
    with pytest.raises(ConflictError, match=r"cv/\d' for .* has m.*add the new .*--extend"):
        add_splits(store, folds=3, name="cv", seed=1)


def test_one_split_of_a_cross_validation_takes_no_others(store, tmp_path):
    add_splits(store, folds=3, name="cv")
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"id_train": ["m00"], "id_val": [], "id_test": []}), "utf-8")
    with pytest.raises(ConflictError, match="is fold 1 of the cross-validation 'cv'"):
        add_splits(store, [path], name="cv/1")


def test_a_group_torn_apart_gets_no_fold(store, tmp_path):
    """Groups by a rounded edge: a wider rule, given later, finds one group in several folds."""
    groups = {"a": "x", "b": "x", "c": "y", "new": "x", "free": "z"}
    before = {"a": "train", "b": "test", "c": "val"}
    found = extended_folds(groups, before, {"train": 8, "val": 1, "test": 1}, [0, 2])
    assert found.torn == {"new": ("test", "train")} and found.folds.keys() == {"free"}


def test_torn_groups_are_named_and_fail(store, tmp_path):
    add_splits(store, random="60/20/20", seed=1, name="mine")
    store.merge_rows(
        "split_versions",
        [
            row | {"rule": json.dumps(json.loads(row["rule"]) | {"group_by": "formula"})}
            for row in store.sql("FROM split_versions").to_pylist()
        ],
        replace=True,
    )
    more(store, tmp_path, range(30, 34))
    with pytest.raises(NothingSucceededError) as caught:
        add_splits(store, extend="mine")
    message = caught.value.result.failures["message"][0].as_py()
    assert "its group by formula is in several folds already" in message
    assert len(folds(store, "mine")) == 30


def test_the_command_line(store, tmp_path):
    runner, place = CliRunner(), ["--store", store.uri]

    def said(*words: str, code: int = 0) -> str:
        result = runner.invoke(command, ["splits", *words, *place])
        assert result.exit_code == code, result.output
        return result.output

    assert "split 'cv3-seed-0/2' for *: 18 train, 2 val, 10 test" in said("--folds", "3")
    assert "goes with --random and --folds" in said("x.json", "--group-by", "formula", code=2)
    assert "Give one of" in said("--folds", "3", "--random", "8/1/1", code=2)
    assert "keeps its --name" in said("--extend", "cv3-seed-0", "--name", "x", code=2)
    assert "has every material" in said("--extend", "cv3-seed-0")


@given(
    groups=st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=3), st.sampled_from("uvwxyz"), min_size=6
    ),
    n=st.integers(2, 4),
    seed=st.integers(0, 9),
    cut=st.integers(0, 30),
)
@settings(max_examples=60, deadline=None)
def test_cross_validations_grow_without_leaks(groups, n, seed, cut):
    """Whatever comes later: nothing moves, no group is parted, each id is tested once."""
    early = dict(sorted(groups.items())[: len(groups) - cut])
    try:
        first = cross_extensions(early, n, [seed, 1])
    except MissingDataError:
        return
    before = [one.folds for one in first]
    second = cross_extensions(groups, n, [seed, 2], before)
    after = [old | new.folds for old, new in zip(before, second, strict=True)]
    assert all(not one.torn for one in second)
    assert all(old.items() <= new.items() for old, new in zip(before, after, strict=True))
    tested = Counter(name for one in after for name, fold in one.items() if fold == "test")
    assert tested == dict.fromkeys(groups, 1)
    for one in after:
        assert one.keys() == groups.keys() and kept_together(groups, one)
        assert {"train", "val", "test"} == set(one.values())
