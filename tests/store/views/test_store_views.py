"""Training views: aligned, ordered, reproducible, and clear about what they lack."""

from __future__ import annotations

import json
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic_store as toy

from featurestore.errors import (
    FeatureStoreError,
    MissingDataError,
    StorageError,
    UnknownNameError,
)
from featurestore.failure import Failure
from featurestore.identity import text_id
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from featurestore.views.parameters import resolve
from featurestore.views.request import ViewRequest
from featurestore.views.view import select_view, write_view

ROBO = "robocrystallographer"
BOTH = toy.view_request("structure+text")
STRUCTURE = toy.view_request("structure")
TEXT = toy.view_request("text")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Twenty materials, fifteen of them with text."""
    return toy.make_store(
        tmp_path_factory.mktemp("views") / "store", 20, erased=["summary"], with_text=15
    )


@pytest.fixture
def fresh(tmp_path: Path) -> FeatureStore:
    return toy.make_store(tmp_path / "store", 10, erased=["bond length"])


def index_of(material_id: str) -> int:
    return int(material_id.removeprefix("toy-"))


def text_of(index: int, without: str | None = None) -> list[str]:
    return [text for tag, text in toy.sentences(index, ROBO) if tag != without]


@pytest.mark.parametrize("request_", [BOTH, STRUCTURE, TEXT], ids=["both", "structure", "text"])
def test_each_row_has_its_own_vectors_and_target(store, request_):
    view = store.training_view(toy.PROPERTY, **request_)
    with_text = "text" in request_["features"]
    assert view.material_ids == [f"toy-{i:03}" for i in range(15 if with_text else 20)]
    for position, material_id in enumerate(view.material_ids):
        index = index_of(material_id)
        parts = []
        if "structure" in request_["features"]:
            parts.append(toy.structure_vector(index))
        if with_text:
            parts.append(toy.text_vector(text_of(index)))
        np.testing.assert_array_equal(view.features[position], np.concatenate(parts))
        assert view.targets[position] == toy.target(index)
        assert view.rows["fold"][position].as_py() == toy.fold(index)
        expected = text_id(" ".join(text_of(index))) if with_text else None
        assert view.rows["text_id"][position].as_py() == expected
    assert view.features.dtype == np.float32
    assert view.features.flags.c_contiguous
    assert view.targets.dtype == np.float64


def test_segments_name_the_columns(store):
    assert store.training_view(toy.PROPERTY, **BOTH).segments == (
        ("structure.all", 0, 4),
        ("text.all", 4, 7),
    )


def test_vectors_stay_aligned_whatever_the_order_in_the_table(fresh):
    """The table's rows are in another order than the view's, in many fragments, some deleted."""
    name = embedding_table("structure", toy.STRUCTURE_ENCODER)
    fresh._tables.delete(name, "structure_id IN ('structure-1', 'structure-7', 'structure-9')")
    for index in (9, 1, 7):
        toy._merge_vectors(
            fresh,
            "structure",
            toy.STRUCTURE_ENCODER,
            "structure_id",
            {f"structure-{index}": toy.structure_vector(index)},
        )
    view = fresh.training_view(toy.PROPERTY, **STRUCTURE)
    expected = np.stack([toy.structure_vector(index) for index in range(10)])
    np.testing.assert_array_equal(view.features, expected)


def test_materials_that_share_a_structure_share_its_vectors(fresh):
    twin = toy._material(3) | {"material_id": "twin"}
    fresh.merge_rows("materials", [twin])
    value = {"material_id": "twin", "property": toy.PROPERTY, "source": "toy", "value": 9.0}
    fresh.merge_rows("properties", [value | {"unit": "eV", "run_id": "r"}])
    view = fresh.training_view(toy.PROPERTY, **BOTH | {"split": None})
    assert view.material_ids[-1] == "twin" and view.targets[-1] == 9.0
    np.testing.assert_array_equal(view.features[-1], view.features[3])


def test_rows_stay_aligned_whatever_the_order_and_the_fragments_on_disk(tmp_path, monkeypatch):
    """Vectors written in another order than the rows, in several commits, with rows removed."""
    store = toy.make_store(tmp_path / "store", 60)
    structures = embedding_table("structure", toy.STRUCTURE_ENCODER)
    texts = embedding_table("text", toy.TEXT_ENCODER)
    shuffled = np.random.default_rng(0).permutation(60)
    for part in np.array_split(shuffled, 7):
        ids = ", ".join(f"'structure-{i}'" for i in part)
        store.remove(structures, f"structure_id IN ({ids})")
        vectors = {f"structure-{i}": toy.structure_vector(i) for i in part}
        toy._merge_vectors(store, "structure", toy.STRUCTURE_ENCODER, "structure_id", vectors)
    gone = text_id(" ".join(text_of(11)))
    store.remove(texts, f"text_id = '{gone}'")
    reads = []
    for bytes_a_read in (1, 16 * 7, 3 * 2**20):  # a row, seven rows, all rows at a time
        monkeypatch.setattr("featurestore.vectors._BYTES_A_READ", bytes_a_read)
        view = store.training_view(toy.PROPERTY, **BOTH)
        reads.append(view.fingerprint)
        assert view.material_ids == [f"toy-{i:03}" for i in range(60) if i != 11]
        for row, index in zip(view.features, map(index_of, view.material_ids), strict=True):
            np.testing.assert_array_equal(row[:4], toy.structure_vector(index))
            np.testing.assert_array_equal(row[4:], toy.text_vector(text_of(index)))
    assert len(set(reads)) == 1
    # The toy's vectors differ from each other, so that a wrong row would have shown.
    assert len({row.tobytes() for row in view.features}) == 59


def test_what_the_storage_refuses_is_told(fresh, monkeypatch):
    """Vectors are read after the SQL session has ended, outside of its error handling."""
    with fresh.session() as session:
        selected = select_view(session, resolve(session, ViewRequest(toy.PROPERTY, **BOTH)))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("403 Forbidden: <AWSSecretAccessKey>abcdefghijkl</AWSSecretAccessKey>")

    monkeypatch.setattr(lance.LanceDataset, "take", refuse)
    with pytest.raises(StorageError, match="cannot read the vectors of encoder toy_graph") as told:
        selected.read()
    assert "403" in str(told.value) and "abcdefghijkl" not in str(told.value)


def test_torch_data_sets_of_folds(store):
    import torch

    view = store.training_view(toy.PROPERTY, **BOTH)
    for fold in ("train", "val", "test"):
        data = view.to_dataset(fold)
        rows = np.flatnonzero(view.in_fold(fold))
        assert isinstance(data, torch.utils.data.Dataset) and len(data) == len(rows)
        for row, (x, y) in zip(rows, data, strict=True):
            np.testing.assert_array_equal(x.numpy(), view.features[row])
            assert y.item() == np.float32(view.targets[row])
    everything = view.to_dataset()
    assert everything.tensors[0].data_ptr() == view.features.ctypes.data
    with pytest.raises(UnknownNameError, match="unknown fold 'tests'; did you mean 'test'"):
        view.to_dataset("tests")
    unsplit = store.training_view(toy.PROPERTY, **STRUCTURE | {"split": None})
    with pytest.raises(MissingDataError, match="no row in the fold 'train': choose a split"):
        unsplit.to_dataset("train")


def test_folds(store):
    view = store.training_view(toy.PROPERTY, **STRUCTURE)
    for fold in ("train", "val", "test"):
        expected = [toy.fold(index) == fold for index in range(20)]
        assert view.in_fold(fold).tolist() == expected
    unsplit = store.training_view(toy.PROPERTY, **STRUCTURE | {"split": None})
    assert unsplit.rows["fold"].null_count == len(unsplit) == 20
    assert not unsplit.in_fold("train").any()


def test_a_material_without_a_fold_is_out(fresh):
    fresh._tables.delete("splits", "material_id = 'toy-004'")
    view = fresh.training_view(toy.PROPERTY, **BOTH)
    assert "toy-004" not in view.material_ids and len(view) == 9
    assert view.excluded == {}


def test_excluded_counts_the_first_thing_lacking(tmp_path):
    store = toy.make_store(tmp_path / "store", 20, with_text=15)
    name = embedding_table("structure", toy.STRUCTURE_ENCODER)
    store._tables.delete(name, "structure_id IN ('structure-0', 'structure-19')")
    gone = ", ".join(f"'{text_id(' '.join(text_of(index)))}'" for index in (0, 1, 2))
    store._tables.delete(embedding_table("text", toy.TEXT_ENCODER), f"text_id IN ({gone})")
    view = store.training_view(toy.PROPERTY, **BOTH)
    # 0 and 19 lack the structure's vector; of the rest 15 to 18 have no text; 1 and 2 no vector.
    assert view.excluded == {"structure vector": 2, "text": 4, "text vector": 2}
    assert view.material_ids == [f"toy-{index:03}" for index in range(3, 15)]
    assert store.training_view(toy.PROPERTY, **TEXT).excluded == {"text": 5, "text vector": 3}


def test_a_variant_gives_other_texts(store):
    view = store.training_view(toy.PROPERTY, **BOTH, variant="without:summary")
    assert view.parameters.variant == "without:summary"
    for position, index in enumerate(map(index_of, view.material_ids)):
        kept = text_of(index, "summary")
        assert view.rows["text_id"][position].as_py() == text_id(" ".join(kept))
        np.testing.assert_array_equal(view.features[position, 4:], toy.text_vector(kept))


def test_an_equal_view_has_an_equal_fingerprint(tmp_path):
    views = []
    for name in ("a", "b"):
        store = toy.make_store(tmp_path / name, 10)
        views.append(store.training_view(toy.PROPERTY, **BOTH))
        views.append(store.training_view(toy.PROPERTY, **BOTH | {"text_encoder": toy.TEXT_ENCODER}))
    assert len({view.fingerprint for view in views}) == 1


def test_an_unrelated_commit_leaves_the_fingerprint(fresh):
    before = fresh.training_view(toy.PROPERTY, **BOTH)
    fresh.merge_rows("materials", [toy._material(77)])
    toy._merge_vectors(
        fresh, "structure", toy.STRUCTURE_ENCODER, "structure_id", {"x": toy.structure_vector(77)}
    )
    fresh.record_failures("text", "x", {"y": Failure("E", "m")}, Run("r"))
    after = fresh.training_view(toy.PROPERTY, **BOTH)
    assert after.fingerprint == before.fingerprint
    assert after.versions["materials"] > before.versions["materials"]


def _other_target(store: FeatureStore) -> None:
    row = {"material_id": "toy-005", "property": toy.PROPERTY, "source": "toy", "value": 1e-9}
    store.merge_rows("properties", [row | {"unit": "eV", "run_id": "r"}], replace=True)


def _other_fold(store: FeatureStore) -> None:
    row = {"split": toy.SPLIT, "property": toy.PROPERTY, "material_id": "toy-005", "fold": "val"}
    store.merge_rows("splits", [row | {"run_id": "r"}], replace=True)


def _other_vector(store: FeatureStore) -> None:
    store._tables.delete(
        embedding_table("structure", toy.STRUCTURE_ENCODER), "structure_id = 'structure-5'"
    )
    vector = np.nextafter(toy.structure_vector(5), np.float32(np.inf))
    toy._merge_vectors(
        store, "structure", toy.STRUCTURE_ENCODER, "structure_id", {"structure-5": vector}
    )


def _one_material_less(store: FeatureStore) -> None:
    store._tables.delete("properties", "material_id = 'toy-005'")


@pytest.mark.parametrize("change", [_other_target, _other_fold, _other_vector, _one_material_less])
def test_every_change_of_the_rows_changes_the_fingerprint(fresh, change):
    before = fresh.training_view(toy.PROPERTY, **BOTH).fingerprint
    change(fresh)
    assert fresh.training_view(toy.PROPERTY, **BOTH).fingerprint != before


def test_other_parameters_give_another_fingerprint(fresh):
    requests = [BOTH, STRUCTURE, TEXT, BOTH | {"split": None}, BOTH | {"variant": "only:summary"}]
    requests += [BOTH | {"variant": "without:bond length"}]
    toy.embed_texts(fresh, range(10), ROBO, ["bond length"])
    toy._merge_vectors(
        fresh,
        "text",
        toy.TEXT_ENCODER,
        "text_id",
        {text_id(text_of(i)[0]): toy.text_vector(text_of(i)[:1]) for i in range(10)},
    )
    prints = {fresh.training_view(toy.PROPERTY, **request).fingerprint for request in requests}
    assert len(prints) == len(requests)


def test_table_and_torch_hold_the_same_values(store):
    import torch

    view = store.training_view(toy.PROPERTY, **BOTH)
    table = view.table
    stacked = np.hstack(
        [
            np.array(table["structure_vector"].to_pylist(), dtype=np.float32),
            np.array(table["text_vector"].to_pylist(), dtype=np.float32),
        ]
    )
    np.testing.assert_array_equal(stacked, view.features)
    assert table["structure_vector"].type == pa.list_(pa.float32(), 4)
    features, targets = view.to_torch()
    assert features.dtype == targets.dtype == torch.float32
    assert features.data_ptr() == view.features.ctypes.data
    np.testing.assert_array_equal(targets.numpy(), view.targets.astype(np.float32))


@pytest.mark.parametrize("split", [toy.SPLIT, None])
@pytest.mark.parametrize("request_", [BOTH, STRUCTURE, TEXT], ids=["both", "structure", "text"])
def test_the_sql_of_a_view_runs_as_it_stands(store, request_, split):
    view = store.training_view(toy.PROPERTY, **request_ | {"split": split})
    assert store.sql(view.sql).equals(view.rows)


def test_names_with_quotes_are_only_names(fresh):
    name, source, split = "it's; DROP", "a ' OR '1'='1", "s'--"
    rows = fresh.sql("FROM properties").to_pylist()
    fresh.merge_rows("properties", [row | {"property": name, "source": source} for row in rows[:4]])
    folds = fresh.sql("FROM splits").to_pylist()
    fresh.merge_rows("splits", [row | {"property": name, "split": split} for row in folds])
    view = fresh.training_view(name, **BOTH | {"split": split}, property_source=source)
    assert len(view) == 4
    assert fresh.sql(view.sql).equals(view.rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"property": "mbj_bandgab"},
            r"unknown property 'mbj_bandgab'; did you mean 'mbj_bandgap'",
        ),
        ({"split": "tay"}, r"unknown split 'tay'; did you mean 'toy'.*ingest splits"),
        ({"structure_encoder": "toy-grahp"}, r"unknown structure encoder .*'toy-graph'"),
        ({"structure_encoder": "toy-text"}, "unknown structure encoder 'toy-text'"),
        ({"text_encoder": "minilm"}, "unknown text encoder 'minilm'.*ingest embeddings"),
        ({"text_source": "robocrys"}, "unknown text source .*'robocrystallographer'"),
        (
            {"variant": "without:bond lenght"},
            "unknown tag 'bond lenght'; did you mean 'bond length'",
        ),
        ({"variant": "with:summary"}, "unknown variant 'with:summary'; use 'full'"),
        ({"features": "text+structure"}, "features must be one of"),
        ({"text_source": None}, "features 'structure.text' need a text source"),
        ({"structure_encoder": None}, "need a structure encoder"),
        ({"text_encoder": None}, "need a text encoder"),
        ({"property_source": "toys"}, "choose one with --property-source: 'toy'"),
    ],
)
def test_names_that_are_unknown_or_missing(store, change, message):
    request = {"property": toy.PROPERTY, **BOTH} | change
    with pytest.raises(FeatureStoreError, match=message):
        store.training_view(request.pop("property"), **request)


def test_a_split_for_another_property(fresh):
    row = fresh.sql("FROM splits LIMIT 1").to_pylist()[0]
    fresh.merge_rows("splits", [row | {"split": "other", "property": "slme"}])
    with pytest.raises(MissingDataError, match=r"'other' has no folds for .*only for slme"):
        fresh.training_view(toy.PROPERTY, **BOTH | {"split": "other"})


def test_a_property_of_several_sources_must_be_chosen(fresh):
    row = fresh.sql("FROM properties LIMIT 1").to_pylist()[0]
    fresh.merge_rows("properties", [row | {"source": "mine", "unit": "meV"}])
    with pytest.raises(FeatureStoreError, match=r"several sources; .*'mine' \(meV\), 'toy' \(eV\)"):
        fresh.training_view(toy.PROPERTY, **BOTH)
    view = fresh.training_view(toy.PROPERTY, **BOTH, property_source="toy")
    assert (view.parameters.unit, len(view)) == ("eV", 10)


@pytest.mark.parametrize(
    ("table", "field", "id_", "request_", "message"),
    [
        ("encoders", "encoder_id", "toy_text_00000000ff", "toy-text", "several versions"),
        (
            "generators",
            "generator_id",
            "robocrystallographer_ff",
            ROBO,
            "several generator versions",
        ),
    ],
)
def test_several_versions_must_be_chosen(fresh, table, field, id_, request_, message):
    column = "name" if table == "encoders" else "source"
    rows = fresh.sql(f"FROM {table} WHERE {column} = '{request_}'").to_pylist()
    fresh.merge_rows(table, [rows[0] | {field: id_}])
    with pytest.raises(FeatureStoreError, match=f"{message}, name one of: .*{rows[0][field]}"):
        fresh.training_view(toy.PROPERTY, **BOTH)


def test_an_empty_view_names_the_command(fresh):
    with pytest.raises(MissingDataError) as raised:
        fresh.training_view(toy.PROPERTY, **BOTH, variant="only:other")
    assert str(raised.value) == (
        "the training view of 'mbj_bandgap' has no rows: 10 lack a text vector. Run:\n"
        "  featurestore ingest embeddings --encoder toy-text --text robocrystallographer "
        "--variant only:other"
    )


def test_an_encoder_that_has_no_vector_yet(fresh):
    row = fresh.sql("FROM encoders WHERE kind = 'structure'").to_pylist()[0]
    fresh.merge_rows("encoders", [row | {"encoder_id": "new_0123456789", "name": "new"}])
    with pytest.raises(MissingDataError, match=r"(?s)10 lack a structure vector.*--encoder new"):
        fresh.training_view(toy.PROPERTY, **STRUCTURE | {"structure_encoder": "new"})


def test_written_views_carry_their_fingerprint(store, tmp_path):
    view = store.training_view(toy.PROPERTY, **BOTH)
    for suffix in (".parquet", ".arrow", ".npz", ".csv"):
        write_view(view, tmp_path / f"view{suffix}")
    table = pq.read_table(tmp_path / "view.parquet")
    assert table.schema.metadata[b"fingerprint"].decode() == view.fingerprint
    assert json.loads(table.schema.metadata[b"parameters"])["property"] == toy.PROPERTY
    assert table.replace_schema_metadata().equals(view.table)
    arrays = np.load(tmp_path / "view.npz")
    np.testing.assert_array_equal(arrays["structure_vector"], view.features[:, :4])
    np.testing.assert_array_equal(arrays["target"], view.targets)
    assert json.loads(str(arrays["metadata"]))["fingerprint"] == view.fingerprint
    header, first = (tmp_path / "view.csv").read_text().splitlines()[:2]
    assert header.endswith("structure_vector,text_vector") and "[" in first


def test_a_view_without_text_is_written_without_pickles(store, tmp_path):
    view = store.training_view(toy.PROPERTY, **STRUCTURE | {"split": None})
    write_view(view, tmp_path / "view.npz")
    arrays = np.load(tmp_path / "view.npz", allow_pickle=False)
    assert np.isnan(arrays["truncated"]).all() and np.isnan(arrays["n_tokens"]).all()
    assert set(arrays["fold"]) == {""}


def test_repr_says_what_it_is(store):
    view = store.training_view(toy.PROPERTY, **BOTH)
    assert repr(view).startswith("Training view of mbj_bandgap, 15 rows × 7 features\n")
