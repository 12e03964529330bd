"""Searches find what brute force finds, in each space, under conditions, with an honest k."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from search_store import STRUCTURE_TABLE, N
from synthetic_store import (
    STRUCTURE_ENCODER,
    TEXT_ENCODER,
    sentences,
    structure_vector,
    text_vector,
)

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.search.hits import Among
from featurestore.store import FeatureStore


def full_text_vector(number):
    return text_vector(s for _, s in sentences(number, "robocrystallographer"))


def cosines(query, vectors):
    q, x = query.astype(np.float64), vectors.astype(np.float64)
    return 1 - x @ q / np.linalg.norm(x, axis=1) / np.linalg.norm(q)


STRUCTURES = np.stack([structure_vector(i) for i in range(N)])
TEXTS = np.stack([full_text_vector(i) for i in range(N)])


def nearest(query, vectors, among, without=None):
    """Numbers of materials by distance from the query."""
    distances = cosines(query, vectors)
    return [int(i) for i in np.argsort(distances, kind="stable") if i in among and i != without]


def numbers(hits):
    return [int(one[-3:]) for one in hits.table["material_id"].to_pylist()]


@pytest.mark.parametrize(("space", "vectors"), [("structure", STRUCTURES), ("text", TEXTS)])
def test_materials_like_one(store, space, vectors):
    hits = store.search.materials_like("toy-007", space)
    assert numbers(hits) == nearest(vectors[7], vectors, range(N), without=7)[:10]
    expected = np.sort(cosines(vectors[7], vectors))[1:11]
    np.testing.assert_allclose(hits.table["distance"].to_numpy(), expected, atol=1e-6)
    assert hits.table["rank"].to_pylist() == list(range(1, 11))


def test_conditions_keep_the_full_k_and_show_the_properties_they_name(store):
    condition = "crystal_system = 'cubic' AND \"bulk modulus\" > 10"
    kept = [i for i in range(0, N, 6) if i > 10]
    hits = store.search.materials_like("toy-007", "structure", Among(5, condition))
    assert numbers(hits) == nearest(STRUCTURES[7], STRUCTURES, kept)[:5]
    assert hits.table["bulk modulus"].to_pylist() == [float(i) for i in numbers(hits)]
    everyone = store.search.materials_like("toy-007", "structure", Among(50, condition))
    assert sorted(numbers(everyone)) == kept


def test_a_text_is_compared_with_texts_of_its_variant_alone(store):
    """The table also holds the texts without their summary."""
    found = store.search.materials_like("toy-004", "text", variant="without:summary")
    described = {i: sentences(i, "robocrystallographer")[1:] for i in range(N)}
    vectors = np.stack([text_vector(s for _, s in described[i]) for i in range(N)])
    # Where nothing is left of a text its vector is zero: distance 1.
    lengths = np.linalg.norm(vectors, axis=1)
    distances = np.where(
        lengths > 0, 1 - vectors @ vectors[4] / np.maximum(lengths, 1e-9) / lengths[4], 1.0
    )
    distances[4] = np.inf
    expected = np.sort(distances)[:10]
    np.testing.assert_allclose(found.table["distance"].to_numpy(), expected, atol=1e-6)


def test_both_spaces_are_fused_by_reciprocal_rank(store):
    hits = store.search.materials_like("toy-007", "both", Among(4, without="toy-007"))
    ranks = [nearest(v[7], v, range(N), without=7) for v in (STRUCTURES, TEXTS)]
    scores = {i: sum(1 / (61 + r.index(i)) for r in ranks) for i in range(N) if i != 7}
    expected = sorted(scores, key=lambda i: (-scores[i], i))[:4]
    assert numbers(hits) == expected
    assert hits.table["structure_rank"].to_pylist() == [ranks[0].index(i) + 1 for i in expected]
    assert hits.table["text_rank"].to_pylist() == [ranks[1].index(i) + 1 for i in expected]
    np.testing.assert_allclose(hits.table["score"].to_numpy(), [scores[i] for i in expected])


def test_materials_of_one_structure_share_a_place_in_order_of_their_id(store):
    row = store.dataset("materials").to_table(filter="material_id = 'toy-009'").to_pylist()[0]
    store.merge_rows("materials", [row | {"material_id": f"twin-{i}"} for i in (2, 1)])
    hits = store.search.materials_like("toy-009", "structure", Among(3, without="toy-009"))
    assert hits.table["material_id"].to_pylist()[:2] == ["twin-1", "twin-2"]
    assert hits.table["distance"].to_pylist()[:2] == [0.0, 0.0]


def test_explanations(store):
    hits = store.search.materials_like(
        "toy-007", "structure", Among(3, without="toy-007"), explain=True
    )
    np.testing.assert_allclose(
        hits.table["structure.all"].to_numpy(), hits.table["distance"].to_numpy(), atol=1e-12
    )
    row = {
        "structure_id": "structure-3",
        "generator_id": "robocrystallographer_0000000003",
        "position": 9,
        "tag": "other",
        "reference_tags": [],
        "sentence": sentences(7, "robocrystallographer")[0][1],
        "run_id": "toy-run",
    }
    store.merge_rows("sentences", [row])
    again = store.search.materials_like(
        "toy-007", "structure", Among(60, without="toy-007"), explain=True
    )
    shared = dict(zip(numbers(again), again.table["shared"].to_pylist(), strict=True))
    assert shared.pop(3) == [row["sentence"]]
    assert not any(shared.values())


def test_many_vectors_at_once_and_neighbours_of_all(store):
    found = store.search.like(STRUCTURES[:40] + np.float32(0.01), 4)
    for number in range(40):
        expected = nearest(STRUCTURES[number] + np.float32(0.01), STRUCTURES, range(N))[:4]
        ids = [found.ids[int(row)].as_py() for row in found.rows[number]]
        assert ids == [f"structure-{i}" for i in expected]
    table = store.search.neighbors("toy-graph", 3).table
    assert table.num_rows == 3 * N
    for number in (0, 33):
        mine = table.filter(pc.equal(table["query"], f"structure-{number}"))
        expected = nearest(STRUCTURES[number], STRUCTURES, range(N), without=number)[:3]
        assert mine["id"].to_pylist() == [f"structure-{i}" for i in expected]
        assert mine["rank"].to_pylist() == [1, 2, 3]


def test_conditions_hold_for_batches(store):
    found = store.search.like(STRUCTURES, 100, where="crystal_system = 'cubic'")
    assert found.rows.shape == (N, 20)
    kept = {f"structure-{i}" for i in range(0, N, 3)}
    assert {found.ids[int(row)].as_py() for row in np.unique(found.rows)} == kept
    texts = store.search.neighbors("toy-text", 2, text_source="robocrystallographer")
    assert len(texts.rows) == N


def test_vectors_are_read_once_until_the_table_changes(store):
    first = store.search.space("toy-graph")
    assert store.search.space(STRUCTURE_ENCODER) is first
    assert store.search.like(STRUCTURES[0], 1).ids is first.ids
    store.remove(STRUCTURE_TABLE, "structure_id = 'structure-0'")
    second = store.search.space("toy-graph")
    assert second is not first and len(second) == N - 1
    hits = store.search.like(STRUCTURES[0], 1)
    assert hits.ids[int(hits.rows[0, 0])].as_py() != "structure-0"


def test_a_past_state_is_searched_as_it_was(store):
    store.create_snapshot("before")
    store.remove(STRUCTURE_TABLE, "structure_id <> 'structure-1'")
    past = FeatureStore.open(store.uri, at="before")
    assert len(past.search.space("toy-graph")) == N
    assert len(store.search.space("toy-graph")) == 1
    store.restore_snapshot("before")
    assert len(store.search.space("toy-graph")) == N


@pytest.mark.parametrize("space", ["structure", "text"])
def test_a_material_without_a_vector_is_told_how_to_get_one(store, space):
    row = store.dataset("materials").to_table(filter="material_id = 'toy-009'").to_pylist()[0]
    store.merge_rows("materials", [row | {"material_id": "new", "structure_id": "new-one"}])
    missing = {
        "structure": "(?s)no vector of toy_graph.*--encoder toy-graph",
        "text": "not described",
    }
    with pytest.raises(MissingDataError, match=missing[space]):
        store.search.materials_like("new", space)
    assert (
        "new" not in store.search.materials_like("toy-001", space, Among(99)).table["material_id"]
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: s.materials_like("toy-07"), UnknownNameError, "did you mean 'toy-0.7'"),
        (lambda s: s.materials_like("x' OR ''='"), UnknownNameError, "unknown material"),
        (
            lambda s: s.materials_like("toy-007", "atoms"),
            InvalidInputError,
            "structure, text, both",
        ),
        (lambda s: s.materials_like("toy-007", among=Among(0)), InvalidInputError, "from 1"),
        (lambda s: s.like(STRUCTURES[0], 0), InvalidInputError, "from 1"),
        (lambda s: s.like(STRUCTURES[:, :3]), InvalidInputError, "width 4"),
        (lambda s: s.like(STRUCTURES[0] * np.nan), InvalidInputError, "NaN"),
        (lambda s: s.like(STRUCTURES[0] * 0), InvalidInputError, "no direction"),
        (lambda s: s.like(STRUCTURES[0], metric="l1"), InvalidInputError, "metric"),
        (lambda s: s.like(STRUCTURES[0], encoder="toy-grph"), UnknownNameError, "toy-graph"),
        (lambda s: s.like(STRUCTURES[0], text_source="x"), InvalidInputError, "encodes structures"),
        (lambda s: s.like(TEXTS[0], encoder="toy-text", text_source="x"), UnknownNameError, "text"),
        (
            lambda s: s.materials_like("toy-007", encoders=[TEXT_ENCODER]),
            InvalidInputError,
            "encodes texts",
        ),
        (
            lambda s: s.materials_like("toy-007", "both", encoders=["toy-text", TEXT_ENCODER]),
            InvalidInputError,
            "not several",
        ),
        (
            lambda s: s.materials_like("toy-007", "text", variant="only:bond"),
            UnknownNameError,
            "bond length",
        ),
    ],
)
def test_bad_input_is_named(store, call, error, words):
    with pytest.raises(error, match=words):
        call(store.search)


def test_stores_without_vectors(tmp_path):
    empty = FeatureStore.open(tmp_path / "empty", create=True)
    with pytest.raises(MissingDataError, match="ingest embeddings"):
        empty.search.like(STRUCTURES[0])
    with pytest.raises(MissingDataError, match="ingest embeddings"):
        empty.search.neighbors()


def test_an_encoder_that_encoded_nothing(store):
    store.remove(STRUCTURE_TABLE, "true")
    with pytest.raises(MissingDataError, match="no vectors in this store"):
        store.search.like(STRUCTURES[0])


def test_several_encoders_must_be_named(store):
    encoder = store.dataset("encoders").to_table(filter="kind = 'structure'").to_pylist()[0]
    store.merge_rows("encoders", [encoder | {"encoder_id": "other_0000000009", "name": "other"}])
    with pytest.raises(InvalidInputError, match="other_0000000009, toy_graph"):
        store.search.like(STRUCTURES[0])
    assert store.search.like(STRUCTURES[0], 1, encoder="toy-graph").rows.shape == (1, 1)


def test_notes_on_the_reading_of_hits_are_said(store, tmp_path):
    from synthetic_store import make_store

    noted = make_store(tmp_path / "noted", 4)
    [row] = noted.dataset("materials").to_table(filter="material_id = 'toy-002'").to_pylist()
    said = ["species: told by the comment", "encoding: read as Latin-1"]
    noted.merge_rows("materials", [row | {"notes": said, "structure_id": "x"}], replace=True)
    noted.merge_rows("materials", [row | {"notes": said}], replace=True)
    hits = noted.search.materials_like("toy-001", "structure", Among(5))
    assert hits.notes == tuple(f"toy-002, {note}" for note in said)
    assert noted.search.materials_like("toy-002", "structure").notes == ()


def test_a_formula_in_the_place_of_an_id_names_its_materials(store):
    for formula in ("NaCl", "Cl2Na2"):
        with pytest.raises(UnknownNameError, match=r"of the formula NaCl there are: toy-000, toy-"):
            store.search.materials_like(formula, "structure")
    with pytest.raises(UnknownNameError) as unknown:
        store.search.materials_like("KBr", "structure")
    assert "of the formula" not in str(unknown.value)
