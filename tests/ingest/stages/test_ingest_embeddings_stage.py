"""The embeddings stage: every distinct structure and text once, in the encoder's own table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest
from fake_encoders import FakeEncoder, crystal_vector, text_vector
from made_up_materials import crystal, entry, ingest, rows, write_archive

import ingest.stages.embeddings as stage
from featurestore.catalogue import Generator
from featurestore.errors import (
    FeatureStoreError,
    InvalidInputError,
    InvalidRowsError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.failure import Failure
from featurestore.identity import text_id
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from featurestore.texts.renderings import unrendered
from featurestore.texts.shorthands import expand_variants
from ingest.pipeline.outcome import Outcome
from ingest.stages.embeddings import ingest_structure_embeddings, ingest_text_embeddings
from ingest.stages.selection import Selection
from ingest.stages.variants import read_variants_file

EDGES = (4.0, 5.0, 6.0, 7.0)
SENTENCES = {
    # The first sentence is the same for all, so that texts repeat where the second is removed.
    edge: [("It is a cube.", "summary"), (f"Its edge is {edge} Å.", "bond length")]
    for edge in EDGES
}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Four structures, five materials, each structure described."""
    store = FeatureStore.open(tmp_path / "store", create=True)
    entries = [entry(f"m{edge:.0f}", edge, slme=edge) for edge in EDGES]
    ingest(store, write_archive(tmp_path / "a.json", [*entries, entry("twin", 4.0)]))
    generator = {
        "generator_id": "g_0123456789",
        "source": "g",
        "tags": ["summary", "bond length", "other"],
        "reference_tags": ["cube"],
        "fingerprint": "{}",
        "created_at": np.datetime64("2026-01-01", "us").item(),
        "run_id": "r",
    }
    store.merge_rows("generators", [generator])
    store.merge_rows(
        "sentences",
        [
            {
                "structure_id": crystal(edge).structure_id,
                "generator_id": "g_0123456789",
                "position": position,
                "tag": tag,
                "reference_tags": ["cube"] if "cube" in sentence else [],
                "sentence": sentence,
                "run_id": "r",
            }
            for edge, sentences in SENTENCES.items()
            for position, (sentence, tag) in enumerate(sentences)
        ],
    )
    return store


def structures(store: FeatureStore, encoder: Any, **options: Any) -> Outcome:
    given = {"selection": Selection(), "retry_failures": False, "run": Run("run")} | options
    return ingest_structure_embeddings(store, encoder, **given)


def texts(store: FeatureStore, encoder: Any, *variants: str, **options: Any) -> Outcome:
    given = {"selection": Selection(), "retry_failures": False, "run": Run("run")} | options
    return ingest_text_embeddings(
        store, encoder, source="g", variants=variants or ("full",), **given
    )


def vectors(store: FeatureStore, encoder: FakeEncoder) -> dict[str, list[float]]:
    """What the table holds, read without the store."""
    name = embedding_table(encoder.spec.kind, encoder.spec.encoder_id)
    found = lance.dataset(f"{store.uri}/{name}.lance").to_table().to_pylist()
    return {row[f"{encoder.spec.kind}_id"]: row["vector"] for row in found}


def test_every_distinct_structure_has_its_vector(store):
    encoder = FakeEncoder("structure")
    outcome = structures(store, encoder)
    assert (outcome.written, outcome.present, outcome.failures) == (4, 0, {})
    assert vectors(store, encoder) == {
        crystal(edge).structure_id: crystal_vector(crystal(edge)).tolist() for edge in EDGES
    }
    assert sum(map(len, encoder.calls)) == 4
    [row] = rows(store, "encoders")
    assert row == {
        "encoder_id": encoder.spec.encoder_id,
        "name": "fake-structure",
        "kind": "structure",
        "dimension": 4,
        "segments": [
            {"name": "first", "start": 0, "stop": 1},
            {"name": "rest", "start": 1, "stop": 4},
        ],
        "fingerprint": '{"kind":"structure"}',
    }


def test_a_second_run_encodes_nothing(store):
    structures(store, FakeEncoder("structure"))
    with store.session() as session:
        before = session.versions
    encoder = FakeEncoder("structure")
    outcome = structures(store, encoder)
    assert (outcome.written, outcome.present, encoder.calls) == (0, 4, [])
    with store.session() as session:
        assert session.versions == before


def test_a_choice_and_then_the_rest(store):
    encoder = FakeEncoder("structure")
    assert structures(store, encoder, selection=Selection(where="n_atoms > 9")).written == 0
    assert structures(store, encoder, selection=Selection(where="material_id = 'm5'")).written == 1
    outcome = structures(store, encoder)
    assert (outcome.written, outcome.present) == (3, 1)
    assert sum(map(len, encoder.calls)) == 4


def test_distinct_texts_are_encoded_once(store):
    encoder = FakeEncoder("text")
    outcome = texts(store, encoder, "full", "without:each", "only:summary", "full")
    expected = {"It is a cube.", *(f"Its edge is {edge} Å." for edge in EDGES)}
    expected |= {" ".join(text for text, _ in SENTENCES[edge]) for edge in EDGES}
    encoded = [text for call in encoder.calls for text in call]
    assert sorted(encoded) == sorted(expected)
    assert outcome.written == len(expected) == 9
    # full, without each of three tags, and only:summary, of four structures each
    assert outcome.notes == ["20 texts asked for, 9 of them distinct"]
    assert vectors(store, encoder) == {text_id(t): text_vector(t).tolist() for t in expected}
    name = embedding_table("text", encoder.spec.encoder_id)
    found = {row["text_id"]: row for row in store.sql(f"FROM {name}").to_pylist()}
    short, long = text_id("It is a cube."), text_id("It is a cube. Its edge is 4.0 Å.")
    assert (found[short]["n_tokens"], found[short]["truncated"]) == (6, False)
    assert found[long]["n_tokens"] == 11


def test_texts_come_in_an_order_unrelated_to_their_size(store):
    encoder = FakeEncoder("text")
    texts(store, encoder, "full", "without:each")
    ids = [text_id(text) for call in encoder.calls for text in call]
    assert ids == sorted(ids)


def test_the_empty_text_is_a_text(store):
    encoder = FakeEncoder("text")
    texts(store, encoder, "only:other")
    assert encoder.calls == [[""]]


def test_texts_of_chosen_structures_only(store):
    encoder = FakeEncoder("text")
    outcome = texts(store, encoder, selection=Selection(where="material_id IN ('m5', 'm6')"))
    assert outcome.written == 2
    assert texts(store, encoder).written == 2


@pytest.mark.parametrize("kind", ["structure", "text"])
def test_failures_are_recorded_left_out_and_retried(store, kind):
    ingest_kind = structures if kind == "structure" else texts

    def bad(value: Any) -> Failure | None:
        edge = value.lattice[0, 0] if kind == "structure" else float(value.split()[-2])
        return Failure("TooOdd", f"{edge:g} is odd") if edge % 2 else None

    outcome = ingest_kind(store, FakeEncoder(kind, spoil=bad))
    assert (outcome.written, len(outcome.failures)) == (2, 2)
    encoder = FakeEncoder(kind)
    context = encoder.spec.encoder_id
    recorded = rows(store, "failures")
    assert sorted(row["message"] for row in recorded) == ["5 is odd", "7 is odd"]
    assert {(row["stage"], row["context"]) for row in recorded} == {("embeddings", context)}

    outcome = ingest_kind(store, encoder)
    assert (outcome.written, outcome.present, outcome.failed_before) == (0, 2, 2)
    assert encoder.calls == []
    outcome = ingest_kind(store, encoder, retry_failures=True)
    assert (outcome.written, outcome.present, outcome.failed_before) == (2, 2, 0)
    assert rows(store, "failures") == []
    assert len(vectors(store, encoder)) == 4


@pytest.mark.parametrize(
    ("vector", "error", "message"),
    [
        ([1, float("nan"), 3, 4], "NotFinite", "NaN or infinity"),
        ([1, float("-inf"), 3, 4], "NotFinite", "NaN or infinity"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "WrongWidth", r"shape (8,), its dimension is 4"),
        ([[1, 2, 3, 4]], "WrongWidth", r"shape (1, 4)"),
    ],
)
def test_a_vector_that_cannot_be_stored_is_one_failure(store, vector, error, message):
    def spoil(value: Any) -> Any:
        return np.array(vector, dtype=np.float32) if value.lattice[0, 0] == 5 else None

    encoder = FakeEncoder("structure", spoil=spoil)
    outcome = structures(store, encoder)
    assert outcome.written == 3
    failure = outcome.failures[crystal(5).structure_id]
    assert failure.error == error and message in failure.message
    assert vectors(store, encoder) == {
        crystal(edge).structure_id: crystal_vector(crystal(edge)).tolist()
        for edge in EDGES
        if edge != 5
    }


def test_an_encoder_of_another_width_is_refused(store):
    """The same id with another width: as if a fingerprint had forgotten what sets the width."""
    structures(store, FakeEncoder("structure"), selection=Selection(where="material_id = 'm5'"))
    wide = FakeEncoder("structure", dimension=6, spoil=lambda _: np.ones(6, np.float32))
    with pytest.raises(InvalidRowsError, match=r"width 4.*these have width 6; another encoder"):
        structures(store, wide)
    assert len(vectors(store, FakeEncoder("structure"))) == 1


class Odd(FakeEncoder):
    """Gives something else than it was asked for in one call, after one that is sound."""

    def __init__(self, odd: Any, kind: str = "structure") -> None:
        super().__init__(kind)
        self.odd = odd

    def encode(self, values: Sequence[Any]) -> Any:
        results = super().encode(values)
        return results if len(self.calls) == 1 else self.odd(results)


def raising(results: Any) -> Any:
    raise RuntimeError("no kernel image")


@pytest.mark.parametrize("kind", ["structure", "text"])
@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (lambda results: results[1:], "gave 1 results for 2 {kind}s, from {first} to {last}"),
        (lambda results: [*results, results[0]], "gave 3 results for 2 {kind}s"),
        (
            lambda results: [results[0].vector] * 2,
            "gives a ndarray for the {kind} {first}, not a {Kind}Vector",
        ),
        (raising, "failed on 2 {kind}s, from {first} .*RuntimeError: no kernel image"),
    ],
)
def test_an_encoder_that_gives_other_than_asked_stops_with_its_name(
    store, monkeypatch, kind, odd, message
):
    """What came before is stored; which vector belongs to which is never guessed."""
    monkeypatch.setattr(stage, "_ITEMS_A_CALL", 2)
    encoder = Odd(odd, kind)
    with pytest.raises(InvalidInputError) as raised:
        structures(store, encoder) if kind == "structure" else texts(store, encoder)
    first, last = (
        value.structure_id if kind == "structure" else text_id(value) for value in encoder.calls[1]
    )
    assert encoder.spec.encoder_id in str(raised.value)
    expected = message.format(kind=kind, Kind=kind.capitalize(), first=first, last=last)
    assert re.search(expected, str(raised.value))
    assert len(vectors(store, encoder)) == 2
    sound = FakeEncoder(kind)
    outcome = structures(store, sound) if kind == "structure" else texts(store, sound)
    assert (outcome.written, outcome.present) == (2, 2)


def test_a_number_beyond_float32_is_no_vector(store):
    """Finite in float64, an infinity where it is stored."""

    def spoil(value: Any) -> Any:
        return np.array([1e300, 0, 0, 0]) if value.lattice[0, 0] == 5 else None

    encoder = FakeEncoder("structure", spoil=spoil)
    outcome = structures(store, encoder)
    assert outcome.written == 3
    assert list(outcome.failures) == [crystal(5).structure_id]
    assert "NaN or infinity" in outcome.failures[crystal(5).structure_id].message


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interruption_keeps_what_is_done(store, monkeypatch, error):
    monkeypatch.setattr(stage, "_ITEMS_A_CALL", 1)

    def stop(values: Sequence[Any]) -> None:
        if len(encoder.calls) == 3:
            raise error

    def bad(value: Any) -> Failure | None:
        return Failure("Bad", "bad") if len(encoder.calls) == 1 else None

    encoder = FakeEncoder("structure", before=stop, spoil=bad)
    with pytest.raises(error):
        structures(store, encoder)
    assert len(vectors(store, encoder)) == 1
    assert len(rows(store, "failures")) == 1
    outcome = structures(store, FakeEncoder("structure"))
    assert (outcome.written, outcome.present, outcome.failed_before) == (2, 1, 1)


def test_an_interrupted_retry_clears_what_it_solved(store, monkeypatch):
    monkeypatch.setattr(stage, "_ITEMS_A_CALL", 1)
    structures(store, FakeEncoder("structure", spoil=lambda _: Failure("Bad", "bad")))
    assert len(rows(store, "failures")) == 4

    def stop(values: Sequence[Any]) -> None:
        if len(encoder.calls) == 3:
            raise KeyboardInterrupt

    encoder = FakeEncoder("structure", before=stop)
    with pytest.raises(KeyboardInterrupt):
        structures(store, encoder, retry_failures=True)
    assert len(rows(store, "failures")) == 2
    assert len(vectors(store, encoder)) == 2


def test_vectors_are_written_in_batches(store, monkeypatch):
    monkeypatch.setattr(stage, "_ITEMS_A_CALL", 1)
    monkeypatch.setattr(stage, "_ITEMS_A_WRITE", 3)
    sizes: list[int] = []
    merge = FeatureStore.merge

    def count(self: FeatureStore, table: str, rows: Any, **options: Any) -> Any:
        if table.startswith("structure_embeddings__"):
            sizes.append(rows.num_rows)
        return merge(self, table, rows, **options)

    monkeypatch.setattr(FeatureStore, "merge", count)
    encoder = FakeEncoder("structure")
    structures(store, encoder)
    assert sizes == [3, 1]
    assert len(vectors(store, encoder)) == 4


def test_single_sentences_and_words_of_chosen_materials(store):
    encoder = FakeEncoder("text")
    outcome = texts(
        store, encoder, "word:each", "without:sentence:each", selection=Selection(materials=("m5",))
    )
    full = [sentence for sentence, _ in SENTENCES[5.0]]
    words = " ".join(full).split()
    expected = {
        *(" ".join(words[:i] + words[i + 1 :]) for i in range(9)),
        *(" ".join([*words[:i], "[MASK]", *words[i + 1 :]]) for i in range(9)),
        *full,
    }
    assert {text for call in encoder.calls for text in call} == expected
    assert outcome.written == len(expected) == 20
    # What was encoded is on record, so that it can be told from what nothing renders to.
    with store.session() as session:
        ids = pa.array([text_id(text) for text in expected] + [text_id("of nothing")])
        assert unrendered(session, ids).to_pylist() == [text_id("of nothing")]


def test_several_units_at_once_and_the_same_again(store):
    chosen = Selection(materials=("m5", "m6"))
    asked = ["mask:word:7,0,7", "without:random:0:each", "mask:subsets"]
    first = texts(store, FakeEncoder("text"), *asked, selection=chosen)
    with store.session() as session:
        before = session.versions
    again = texts(store, FakeEncoder("text"), *asked, selection=chosen)
    assert (again.written, again.present) == (0, first.written) and first.written
    with store.session() as session:
        assert session.versions == before


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("mask:word:9", "has 9 words, numbered 0 to 8; choose single materials"),
        ("without:sentence:0,2", "has 2 sentences, numbered 0 to 1"),
        ("without:word:x", "'x' is no word number"),
        ("words:each", "unknown variant 'words:each'"),
    ],
)
def test_units_that_are_not_there_are_named(store, variant, message):
    encoder = FakeEncoder("text")
    with pytest.raises(InvalidInputError, match=message):
        texts(store, encoder, "full", variant, selection=Selection(materials=("m5",)))
    assert encoder.calls == []


def test_chosen_materials_must_be_there_and_described(store):
    with pytest.raises(UnknownNameError, match="unknown material 'm9'"):
        texts(store, FakeEncoder("text"), selection=Selection(materials=("m9",)))
    store.remove("sentences", f"structure_id = '{crystal(5).structure_id}'")
    with pytest.raises(MissingDataError, match=r"(?s)material m5 has no g text\..* --material m5"):
        texts(store, FakeEncoder("text"), selection=Selection(materials=("m5",)))


def test_variants_from_a_file(tmp_path):
    path = tmp_path / "variants.txt"
    path.write_text("# of one material\n\nfull\n  mask:word:1 \n", "utf-8")
    assert read_variants_file(path) == ["full", "mask:word:1"]
    path.write_text("# none\n", "utf-8")
    with pytest.raises(InvalidInputError, match="names no variant"):
        read_variants_file(path)
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_variants_file(tmp_path / "missing.txt")


def test_variants_are_expanded_and_made_canonical():
    generator = Generator("g_1", "g", ("b", "a"), ("r", "q"))
    assert expand_variants(["full", "without:each"], generator) == [
        "full",
        "without:b",
        "without:a",
    ]
    assert expand_variants(["only:each", "only:b"], generator) == ["only:b", "only:a"]
    assert expand_variants(["without:reference:each"], generator) == [
        "without:reference:r",
        "without:reference:q",
    ]
    assert expand_variants(["without:b,a", "without:a, b"], generator) == ["without:a,b"]
    assert expand_variants(["mask:random:1:reference:each"], generator) == [
        "mask:random:1:reference:r",
        "mask:random:1:reference:q",
    ]
    assert expand_variants(["without:subsets"], generator) == [
        "full",
        "without:a",
        "without:b",
        "without:a,b",
    ]
    assert expand_variants(["only:subsets"], generator)[0] == "without:a,b"
    for wrong in ("each", "full:each", "with:each", "without:each,a"):
        with pytest.raises(FeatureStoreError, match="unknown"):
            expand_variants([wrong], generator)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "h"}, "unknown text source 'h'; known: g .*ingest text"),
        ({"variants": ("without:sumary",)}, "unknown tag 'sumary'; did you mean 'summary'"),
        ({"selection": Selection(("smle",))}, "unknown property 'smle'; did you mean 'slme'"),
    ],
)
def test_unknown_names_stop_before_anything_is_done(store, change, message):
    encoder = FakeEncoder("text")
    given = {
        "source": "g",
        "variants": ("full",),
        "selection": Selection(),
        "retry_failures": False,
        "run": Run("r"),
    }
    with pytest.raises(UnknownNameError, match=message):
        ingest_text_embeddings(store, encoder, **given | change)
    assert encoder.calls == [] and rows(store, "encoders") == []
