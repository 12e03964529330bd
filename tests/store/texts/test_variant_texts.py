"""The texts that variants render to, against plain Python on the same sentences."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest
import synthetic_store as toy
from tiers import few

from featurestore.identity import text_id
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from featurestore.texts.renderings import find_rendering, render, unrendered
from featurestore.texts.variants import MASK, Variant, parse_variant, words_of

N = 16
GENERATOR = "robocrystallographer_0000000003"
TAGS = toy.TAGS
REFERENCE = ("summary", "bond length")
VARIANTS = [
    "full",
    *(f"{rule}:{part}" for rule in ("without", "only", "mask") for part in (
        "summary",
        "bond length,other",
        "bond length,other,summary",
        "reference:bond length,summary",
        "sentence:0",
        "sentence:0,1",
        "word:3",
        "word:0,2,7",
        "random:0:summary",
        "random:1:bond length,other",
        "random:1:reference:bond length",
        "random-words:0:summary",
        "random-words:5:bond length,other",
    )),
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy.make_store(tmp_path_factory.mktemp("stores") / "store", N)
    # Blanks that are doubled are no words; a run of them stands as it is between sentences.
    store.merge_rows(
        "sentences",
        [
            {
                "structure_id": "structure-1",
                "generator_id": GENERATOR,
                "position": 1,
                "tag": "other",
                "reference_tags": [],
                "sentence": "Two  blanks, (and) [more].",
                "run_id": "toy-run",
            }
        ],
    )
    return store


def described(index: int) -> list[tuple[str, str]]:
    found = toy.sentences(index, "robocrystallographer")
    return [*found, ("other", "Two  blanks, (and) [more].")] if index == 1 else found


def expected(index: int, variant: Variant) -> str | None:
    """The definition, word for word."""
    parts = described(index)
    # The toy's overlapping tags are its own, but for "other", which is none of them.
    tagged = [tag in variant.tags for tag, _ in parts]
    pieces = [sentence for _, sentence in parts]
    text = " ".join(pieces)
    if variant.rule == "full":
        return text
    chosen = {i for i, is_tagged in enumerate(tagged) if is_tagged}
    if variant.unit in ("word", "random-words"):
        size = len(words_of(" ".join(pieces[i] for i in sorted(chosen))))
        pieces = text.split()
    else:
        size = len(chosen)
    if variant.seed is not None:
        order = sorted(
            range(len(pieces)),
            key=lambda i: hashlib.sha256(
                f"{variant.seed} structure-{index} {i}".encode()
            ).hexdigest(),
        )
        chosen = set(order[:size])
    elif variant.unit:
        chosen = set(variant.numbers)
        if max(chosen) >= len(pieces):
            return None
    if variant.rule == "mask":
        return " ".join(_masked(piece) if i in chosen else piece for i, piece in enumerate(pieces))
    keep = variant.rule == "only"
    return " ".join(piece for i, piece in enumerate(pieces) if (i in chosen) == keep)


def _masked(piece: str) -> str:
    for word in words_of(piece):
        piece = piece.replace(word, "\0" * len(word), 1)
    runs, out = piece.split(" "), []
    for run in runs:
        out.append(MASK if run else "")
    return " ".join(out)


@pytest.mark.parametrize("name", few(VARIANTS, 6))
def test_texts_are_those_of_the_definition(store: FeatureStore, name: str) -> None:
    variant = parse_variant(name, TAGS, REFERENCE)
    assert str(variant) == name
    texts = {f"structure-{i}": expected(i, variant) for i in range(N)}
    wanted = {key: text for key, text in texts.items() if text is not None}
    rows = store.sql("FROM texts('robocrystallographer', variant := ?)", [name]).to_pylist()
    assert {row["structure_id"]: row["text"] for row in rows} == wanted
    assert all(row["text_id"] == text_id(row["text"]) for row in rows)
    with store.session() as session:
        (table,) = render(session, GENERATOR, list(texts), [name] * N)
    single = zip(table["structure_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    assert dict(single) == wanted
    assert set(table["variant"].to_pylist()) <= {name}


def test_every_structure_may_have_a_variant_of_its_own(store: FeatureStore) -> None:
    asked = ["without:word:0", "mask:sentence:0", "full", "without:word:99"]
    ids = ["structure-2", "structure-2", "structure-3", "structure-3"]
    with store.session() as session:
        (table,) = render(session, GENERATOR, ids, asked)
    found = {(row["structure_id"], row["variant"]): row["text"] for row in table.to_pylist()}
    assert found == {
        (structure, variant): text
        for structure, variant in zip(ids, asked, strict=True)
        if (text := expected(int(structure.split("-")[1]), parse_variant(variant, TAGS, REFERENCE)))
        is not None
    }
    assert len(found) == 3


def test_two_seeds_draw_differently_and_each_always_the_same(store: FeatureStore) -> None:
    def texts(seed: int) -> list[str]:
        query = "SELECT text FROM texts('robocrystallographer', variant := ?) ORDER BY structure_id"
        return store.sql(query, [f"without:random-words:{seed}:summary"])["text"].to_pylist()

    assert texts(0) == texts(0) != texts(1)


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("everything", "unknown variant 'everything'"),
        ("mask:", "names a tag"),
        ("without:word:x", "unknown variant"),
        ("without:sentence:", "unknown variant"),
        ("without:random:summary", "unknown variant"),
        ("mask:random-words:x:summary", "unknown variant"),
        ("mask:random:0:sumary", "names a tag that"),
    ],
)
def test_sql_refuses_other_variants(store: FeatureStore, variant: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        store.sql("FROM texts('robocrystallographer', variant := ?)", [variant])


@pytest.mark.slow
def test_recorded_renderings_are_recognised_and_others_are_not(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 4)
    text = expected(2, parse_variant("mask:word:1,3", TAGS, REFERENCE))
    old = expected(2, parse_variant("without:summary", TAGS, REFERENCE))
    ids = pa.array([text_id(text), text_id(old), text_id("no such text")])
    with store.session() as session:
        # Variants of tags alone are found by a search, as in stores without the table.
        assert unrendered(session, ids).to_pylist() == [ids[0].as_py(), ids[2].as_py()]
        assert find_rendering(session, text_id(text)) is None
        assert find_rendering(session, text_id(old)).structure_id == "structure-2"
    row = {"structure_id": "structure-2", "generator_id": GENERATOR, "run_id": "toy-run"}
    store.merge_rows("renderings", [row | {"text_id": text_id(text), "variant": "mask:word:1,3"}])
    # A row that is wrong recognises nothing.
    wrong = row | {"text_id": text_id("no such text"), "variant": "mask:word:2"}
    store.merge_rows("renderings", [wrong])
    with store.session() as session:
        assert unrendered(session, ids).to_pylist() == [text_id("no such text")]
        assert find_rendering(session, text_id(text)).variant == "mask:word:1,3"
        assert find_rendering(session, text_id("no such text")) is None


def test_a_text_that_nothing_renders_to_costs_a_few_queries(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = pa.array([text_id("no such text")])
    with store.session() as session:
        asked: list[str] = []
        plain = session.query
        monkeypatch.setattr(session, "query", lambda *a: asked.append(a[0]) or plain(*a))
        assert unrendered(session, ids) == ids
        variants = 2 * (2 ** len(TAGS) + 2 ** len(REFERENCE) - 2)
        assert len(asked) < variants / 2
