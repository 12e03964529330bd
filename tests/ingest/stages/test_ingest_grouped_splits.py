"""Splits that keep groups together, and the groups: polymorphs, duplicates, SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_materials import atoms, entry, ingest, write_archive

from featurestore.errors import FeatureStoreError, InvalidInputError, MissingDataError
from featurestore.failure import Failure
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.cli.root import ingest as command
from ingest.stages import duplicates
from ingest.stages.duplicates import ingest_duplicates
from ingest.stages.folds import grouped_folds
from ingest.stages.selection import Selection
from ingest.stages.splits import material_groups

ROCK_SALT = {
    "lattice_mat": [[0, 3.5, 3.5], [3.5, 0, 3.5], [3.5, 3.5, 0]],
    "coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
}


class Here:
    """In place of worker processes, which take seconds to start."""

    def __init__(self, work: Any, **_: object) -> None:
        self._work = work

    def run(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        for key, item in items:
            broken = any(len(crystal.species) > 2 for crystal in item.crystals)
            yield key, Failure("TimeLimit", "took too long") if broken else self._work(item)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    """Caesium chloride three times: a and b are two relaxations, c is another polymorph."""
    monkeypatch.setattr(duplicates, "InWorkers", Here)
    entries = [
        entry("a", 4.0, mbj_bandgap=1.0),
        entry("b", 4.1, mbj_bandgap=2.0),
        entry("c", cell=atoms(**ROCK_SALT)),
        entry("d", cell=atoms(elements=("Na", "Cl"))),
        entry("e", cell=atoms(elements=("K", "Cl"))),
    ]
    store = FeatureStore.open(tmp_path / "store", create=True)
    ingest(store, write_archive(tmp_path / "a.json", entries))
    return store


def _compare(store: FeatureStore, **options: Any) -> Any:
    given = {"selection": Selection(), "workers": 1, "time_limit": 60.0, "retry_failures": False}
    return ingest_duplicates(store, run=Run("run"), **(given | options))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=80),
    st.tuples(st.integers(1, 100), st.integers(1, 100), st.integers(1, 100)),
    st.integers(0, 2**32),
)
def test_groups_stay_together(
    groups: list[int], fractions: tuple[int, int, int], seed: int
) -> None:
    given = {f"m{i}": str(group) for i, group in enumerate(groups)}
    if len(set(groups)) < 3:
        with pytest.raises(MissingDataError, match="a split needs three"):
            grouped_folds(given, fractions, seed)
        return
    folds = grouped_folds(given, fractions, seed)
    assert set(folds) == set(given)
    assert set(folds.values()) == {"train", "val", "test"}
    for group in set(given.values()):
        assert len({folds[name] for name in given if given[name] == group}) == 1
    assert grouped_folds(dict(reversed(given.items())), fractions, seed) == folds


def test_the_proportions_are_near_what_was_asked_for() -> None:
    groups = {f"m{i}": str(i // 3) for i in range(900)}
    for seed in range(5):
        counts = Counter(grouped_folds(groups, (80, 10, 10), seed).values())
        assert abs(counts["train"] - 720) <= 3
        assert abs(counts["val"] - 90) <= 3
        assert abs(counts["test"] - 90) <= 3


def test_large_groups_are_not_all_trained_on() -> None:
    """100 groups of five among 500 single materials: each fold gets its part of both."""
    groups = {f"m{i}": str(i // 5 if i < 500 else i) for i in range(1000)}
    large = Counter(
        fold
        for seed in range(10)
        for name, fold in grouped_folds(groups, (60, 20, 20), seed).items()
        if int(name[1:]) < 500
    )
    assert large["test"] / large.total() == pytest.approx(0.2, abs=0.04)
    assert large["val"] / large.total() == pytest.approx(0.2, abs=0.04)


def test_the_seed_matters() -> None:
    groups = {f"m{i}": str(i // 2) for i in range(60)}
    assert grouped_folds(groups, (8, 1, 1), 0) != grouped_folds(groups, (8, 1, 1), 1)


def test_groups_by_formula_structure_and_sql(store: FeatureStore) -> None:
    ids = list("abcde")
    by_formula = material_groups(store, ids, "formula")
    assert by_formula["a"] == by_formula["b"] == by_formula["c"] != by_formula["d"]
    assert len(set(material_groups(store, ids, "structure").values())) == 5
    assert len(set(material_groups(store, ids, "prototype -- as a comment").values())) == 1
    assert material_groups(store, ["a", "d"], "n_atoms > 1") == {"a": "true", "d": "true"}


@pytest.mark.parametrize(
    ("expression", "error", "message"),
    [
        ("nosuch", QueryError, "nosuch"),
        ("nullif(formula, 'NaCl')", InvalidInputError, "NULL for 1 materials, the first is 'd'"),
        ("1); DROP TABLE materials; SELECT (1", FeatureStoreError, ""),
        ("duplicates", MissingDataError, "featurestore ingest duplicates"),
    ],
)
def test_groups_that_cannot_be_had(
    store: FeatureStore, expression: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        material_groups(store, list("abcde"), expression)


def test_duplicates_are_found_and_polymorphs_told_apart(store: FeatureStore) -> None:
    outcome = _compare(store)
    assert (outcome.written, outcome.present, outcome.failures) == (1, 0, {})
    assert outcome.notes == [
        "2 structures have another one that is the same crystal: 1 groups in the store"
    ]
    groups = material_groups(store, list("abcde"), "duplicates")
    assert groups["a"] == groups["b"]
    assert len(set(groups.values())) == 4
    assert (_compare(store).written, _compare(store).present) == (0, 1)


def test_a_new_structure_is_compared_with_all_of_its_formula(
    store: FeatureStore, tmp_path: Path
) -> None:
    _compare(store)
    ingest(store, write_archive(tmp_path / "b.json", [entry("f", 4.3)]))
    assert _compare(store, selection=Selection(where="material_id = 'f'")).written == 1
    groups = material_groups(store, list("abcdef"), "duplicates")
    assert groups["a"] == groups["b"] == groups["f"] != groups["c"]


def test_the_selection_chooses_formulas(store: FeatureStore) -> None:
    assert _compare(store, selection=Selection(where="formula = 'NaCl'")).written == 0
    # c has no band gap, but is compared with a and b, which have
    assert _compare(store, selection=Selection(("mbj_bandgap",))).written == 1
    assert store.sql("SELECT count(*) AS n FROM duplicates")["n"].to_pylist() == [3]


def test_a_formula_that_fails_is_kept_and_left_out(store: FeatureStore, tmp_path: Path) -> None:
    cells = [
        atoms(a, ("Ti", "O", "O"), coords=[[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]])
        for a in (4.5, 4.6)
    ]
    entries = [entry(f"t{i}", cell=cell) for i, cell in enumerate(cells)]
    ingest(store, write_archive(tmp_path / "b.json", entries))
    outcome = _compare(store)
    assert (outcome.written, list(outcome.failures)) == (1, ["O2Ti"])
    assert _compare(store).failed_before == 1
    assert list(_compare(store, retry_failures=True).failures) == ["O2Ti"]


def test_a_grouped_split_from_the_command_line(store: FeatureStore) -> None:
    words = ["splits", "--random", "1/1/1", "--group-by", "formula", "--store", store.uri]
    shown = CliRunner().invoke(command, words, catch_exceptions=False)
    assert "random-1-1-1-seed-0-by-formula" in shown.output
    folds = store.sql("SELECT material_id, fold FROM splits").to_pylist()
    of = {row["material_id"]: row["fold"] for row in folds}
    assert of["a"] == of["b"] == of["c"]
    assert len(set(of.values())) == 3
    misuse = ["splits", "x.json", "--group-by", "formula", "--store", store.uri]
    shown = CliRunner().invoke(command, misuse)
    assert shown.exit_code == 2
    assert "--group-by goes with --random" in shown.output
