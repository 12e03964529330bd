"""Odd vectors and targets that were put in are found, and nothing else is."""

from __future__ import annotations

import shutil
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from featurestore.catalogue import find_encoder
from featurestore.cli.root import root
from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.quality.all_checks import check_quality
from featurestore.quality.change import check_since, check_versions
from featurestore.quality.finding import as_table
from featurestore.quality.outliers import TrainingFold, check_outliers
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table

TABLE = embedding_table("structure", toy.STRUCTURE_ENCODER)
FOLD = TrainingFold(toy.SPLIT, toy.PROPERTY)
N = 100


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Targets within the plausible range, vectors without surprises."""
    targets = np.linspace(0.1, 9, N)
    return toy.make_store(tmp_path_factory.mktemp("quality") / "store", N, targets=targets)


@pytest.fixture
def store(clean: FeatureStore, tmp_path: Path) -> FeatureStore:
    shutil.copytree(clean.uri, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


def put(store: FeatureStore, vectors: dict[int, list[float]]) -> None:
    """Replace vectors behind the store's back: it would refuse NaN."""
    dataset = lance.dataset(f"{store.uri}/{TABLE}.lance")
    ids = [f"structure-{i}" for i in vectors]
    dataset.delete(f"structure_id IN ({', '.join(map(repr, ids))})")
    rows = pa.table(
        {
            "structure_id": ids,
            "vector": pa.array(list(vectors.values()), pa.list_(pa.float32(), 4)),
            "run_id": ["r"] * len(ids),
        },
        schema=pa.schema([field.remove_metadata() for field in dataset.schema]),
    )
    lance.write_dataset(rows, dataset.uri, mode="append")


def found(store: FeatureStore, **choices: object) -> list[tuple[object, ...]]:
    with store.session() as session:
        findings = list(check_quality(session, load_registry(), **choices))
    return [(f.level, f.check, f.subject, f.item, f.material_id) for f in findings]


def test_a_clean_store_has_no_findings(clean):
    assert found(clean) == [] == found(clean, fold=FOLD)


def test_vectors_that_were_put_in(store):
    nan, inf = float("nan"), float("inf")
    twin = toy.structure_vector(20).tolist()
    put(store, {1: [nan, 1, inf, 1], 2: [0, 0, 0, 0], 3: [0, -0.0, 0, 0], 21: twin, 22: twin})
    name = toy.STRUCTURE_ENCODER
    assert found(store, outlier_limit=1000) == [
        ("wrong", "not finite", name, "structure-1", "toy-001"),
        ("wrong", "zero norm", name, "structure-2", "toy-002"),
        ("wrong", "zero norm", name, "structure-3", "toy-003"),
        ("odd", "duplicate vector", name, "structure-21", "toy-021"),
        ("odd", "duplicate vector", name, "structure-22", "toy-022"),
    ]
    with store.session() as session:
        first, *_, last = check_quality(session, load_registry(), outlier_limit=1000)
    assert (first.value, last.value) == (2, 3) and "structure-20" in last.note


@pytest.mark.parametrize("fold", [FOLD, None])
def test_an_outlier_is_found_whatever_the_fold_it_is_in(store, fold):
    put(store, {4: [30, 0, 0, 0], 5: [0, 0, 50, 0]})  # a test row and a training row
    outliers = [row for row in found(store, fold=fold) if row[1] == "outlier"]
    assert [row[3] for row in outliers] == ["structure-5", "structure-4"]


def test_the_measure_is_the_modified_z_score_of_the_training_fold(store):
    put(store, {4: [30, 1, 2, 3]})
    train = np.array([toy.structure_vector(i) for i in range(N) if toy.fold(i) == "train"])
    median = np.median(train, axis=0)
    scale = 1.4826 * np.median(np.abs(train - median), axis=0)
    distance = np.sqrt(np.mean(((train - median) / scale) ** 2, axis=1))
    far = np.sqrt(np.mean(((np.array([30, 1, 2, 3]) - median) / scale) ** 2))
    middle = np.median(distance)
    expected = 0.6745 * (far - middle) / np.median(np.abs(distance - middle))
    with store.session() as session:
        encoder = find_encoder(session, "toy-graph", "structure")
        [outlier] = check_outliers(session, encoder, FOLD, limit=10)
    assert outlier.value == pytest.approx(expected, rel=1e-5)
    assert (outlier.reference, outlier.item) == (10, "structure-4")


def test_a_twentieth_of_strange_training_rows_hides_nothing(store):
    strange = {i: [100.0 + i, 0, 0, 0] for i in range(5)}
    put(store, strange)
    with store.session() as session:
        encoder = find_encoder(session, "toy-graph", "structure")
        items = {one.item for one in check_outliers(session, encoder, None)}
    assert items == {f"structure-{i}" for i in strange}


def test_texts_are_held_against_those_of_their_own_generator(tmp_path):
    sources = ("robocrystallographer", "chemnlp")
    store = toy.make_store(tmp_path / "store", 40, sources=sources, erased=["summary"])
    shifted = {}
    for index in range(40):
        text = [s for _, s in toy.sentences(index, "chemnlp")]
        shifted[" ".join(text)] = toy.text_vector(text) + 1000
    ids = [toy.text_id(text) for text in shifted]
    table = embedding_table("text", toy.TEXT_ENCODER)
    store.remove(table, f"text_id IN ({', '.join(map(repr, ids))})")
    toy._merge_vectors(
        store, "text", toy.TEXT_ENCODER, "text_id", dict(zip(ids, shifted.values(), strict=True))
    )
    assert [row for row in found(store, only=["toy-text"]) if row[1] == "outlier"] == []


def test_targets(store):
    row = store.sql("FROM properties LIMIT 1").to_pylist()[0]
    new = [
        {"material_id": "toy-001", "property": "slme", "value": 40.5, "unit": "%"},
        {"material_id": "toy-002", "property": "slme", "value": -7.0, "unit": "%"},
        {"material_id": "toy-003", "property": "slme", "value": 40.0, "unit": "%"},
        {"material_id": "toy-004", "property": "ehull", "value": 900.0, "unit": "meV/atom"},
        {"material_id": "toy-005", "property": "it's", "value": 1.0, "unit": "1"},
    ]
    store.merge_rows("properties", [row | entry for entry in new])
    with store.session() as session:
        findings = list(check_quality(session, load_registry()))
    assert [(f.check, f.subject, f.material_id, f.value, f.reference) for f in findings] == [
        ("other unit", "ehull", None, 1, None),
        ("unknown property", "it's", None, 1, None),
        ("implausible target", "slme", "toy-002", -7, 0),
        ("implausible target", "slme", "toy-001", 40.5, 40),
    ]


def test_what_has_changed_since_a_snapshot(store):
    store.create_snapshot("then")
    then = FeatureStore.open(store.uri, at="then")
    with then.session() as before, store.session() as now:
        assert list(check_since(before, now, "then")) == []
    put(store, {7: [3, 4, 0, 0]})
    row = store.sql("FROM properties LIMIT 1").to_pylist()[0]
    store.merge_rows("properties", [row | {"property": "slme", "value": 5.0, "unit": "%"}])
    store.remove("properties", f"property = '{toy.PROPERTY}' AND value > 8.9")
    with then.session() as before, store.session() as now:
        findings = list(check_since(before, now, "then"))
    changed = {(f.subject, f.item): (f.reference, f.value) for f in findings}
    norms = [np.linalg.norm(toy.structure_vector(i)) for i in range(N)]
    now_norms = [5 if i == 7 else norm for i, norm in enumerate(norms)]
    assert changed.pop(("mbj_bandgap (toy)", "count")) == (100, 98)
    assert changed.pop(("mbj_bandgap (toy)", "highest")) == pytest.approx((9, 8.820202), rel=1e-6)
    assert changed.pop(("mbj_bandgap (toy)", "mean"))[0] == pytest.approx(4.55)
    for item, value in (("count", 1), ("lowest", 5), ("mean", 5), ("highest", 5)):
        assert changed.pop(("slme (toy)", item)) == (None, value)
    mean = changed.pop((toy.STRUCTURE_ENCODER, "mean norm"))
    assert mean == pytest.approx((np.mean(norms), np.mean(now_norms)), rel=1e-6)
    changed.pop((toy.STRUCTURE_ENCODER, "highest norm"), None)
    assert changed == {}


def test_two_versions_of_an_encoder(store):
    other = "toy_graph_00000000ff"
    [row] = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()
    store.merge_rows("encoders", [row | {"encoder_id": other}])
    vectors = {f"structure-{i}": 2 * toy.structure_vector(i) for i in range(N)}
    toy._merge_vectors(store, "structure", other, "structure_id", vectors)
    with store.session() as session:
        findings = list(check_versions(session, toy.STRUCTURE_ENCODER, other))
    values = {finding.item: finding.value for finding in findings}
    assert values == pytest.approx(
        {
            "mean cosine": 1,
            "lowest cosine": 1,
            "ratio of the norms": 2,
            "overlap of the ten nearest neighbours": 1,
        }
    )
    assert {finding.level for finding in findings} == {"change"}


def test_bad_input(clean):
    with pytest.raises(UnknownNameError, match="did you mean 'toy-graph'"):
        found(clean, only=["toy-grahp"])
    with pytest.raises(UnknownNameError, match="split 'x'"):
        found(clean, fold=TrainingFold("x", toy.PROPERTY))
    with pytest.raises(MissingDataError, match="no folds for property 'slme'"):
        found(clean, fold=TrainingFold(toy.SPLIT, "slme"))


def test_an_empty_store(tmp_path):
    assert found(FeatureStore.open(tmp_path / "store", create=True)) == []
    assert as_table([]).num_rows == 0


def quality(store: FeatureStore, *arguments: str) -> Result:
    return CliRunner().invoke(root, ["quality", *arguments, "--store", store.uri])


def test_the_command(clean, store, tmp_path):
    calm = quality(clean, "--strict")
    assert (calm.exit_code, calm.output) == (0, "nothing was found\n")
    put(store, {i: [0, 0, 0, 0] for i in range(14)})
    lines = quality(store).output.splitlines()
    assert len(lines) == 2 + 10 + 2 and lines[-2] == f"zero norm, {toy.STRUCTURE_ENCODER}: 4 more"
    assert quality(store).exit_code == 0
    assert quality(store, "--strict").exit_code == 1
    assert len(quality(store, "--format", "csv").output.splitlines()) == 1 + 14
    assert quality(store, "-o", str(tmp_path / "found.parquet")).exit_code == 0
    store.create_snapshot("then")
    put(store, {20: [3, 4, 0, 0]})
    since = quality(store, "--since", "then", "--strict", "--format", "csv")
    assert since.exit_code == 0 and since.output.splitlines()[1].startswith("change,changed,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "toy"], "--split and --property belong together"),
        (["--versions", "a", "b", "--since", "x"], "either --versions or --since"),
        (["--text-encoder", "x"], "belongs to --versions"),
        (["--outlier-limit", "0"], "--outlier-limit"),
    ],
)
def test_misuse(clean, arguments, message):
    result = quality(clean, *arguments)
    assert result.exit_code == 2 and message in result.output
