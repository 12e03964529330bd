"""Each hint, executed as it is printed, makes what it names, whatever the encoder's settings."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from fake_generator import Here, fake_part, start_fake
from made_up_materials import entry, write_archive
from tiny_alignn import write_tiny_alignn
from tiny_bert import write_tiny_bert

import explain
import ingest
import ingest.stages.text
import ingest.text.registry
import train
from featurestore.commands import run
from featurestore.errors import MissingContentError
from featurestore.quality.coverage import coverage
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from featurestore.upkeep.verify import verify

SOURCE = "fake"
PROPERTY = "mbj_bandgap"
N = 16
STRUCTURE = {"precision": "bfloat16", "layer": "alignn_1"}
TEXT = {"precision": "bfloat16", "layer": 1, "pooling": "cls", "max_tokens": 12}
HALF = ingest.Selection(where="material_id < 'm08'")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    write_tiny_alignn(folder / "alignn")
    write_tiny_bert(folder / "bert")
    return {"structure": folder / "alignn", "text": folder / "bert"}


@pytest.fixture
def store(
    tmp_path: Path, weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> FeatureStore:
    """Half of the materials have vectors, by encoders whose settings are all unusual."""
    monkeypatch.setattr(ingest.stages.text, "text_part", lambda source: fake_part())
    monkeypatch.setattr(ingest.text.registry, "text_part", lambda source: fake_part())
    monkeypatch.setattr(ingest.stages.text, "InWorkers", Here)
    monkeypatch.setattr(ingest.stages.text, "_start_worker", lambda *_: start_fake({}, False))
    store = FeatureStore.open(tmp_path / "store", create=True)
    monkeypatch.setenv("FEATURESTORE_URI", store.uri)
    archive = write_archive(
        tmp_path / "a.json",
        [entry(f"m{i:02}", 3.8 + i / 50, **{PROPERTY: 0.1 * i}) for i in range(N)],
    )
    ingest.add_structures(store, archive)
    ingest.add_splits(store, random="60/20/20", property=PROPERTY, name="s")
    ingest.describe(store, SOURCE, workers=1)
    ingest.encode(store, str(weights["structure"]), selection=HALF, settings=STRUCTURE)
    ingest.encode(store, str(weights["text"]), SOURCE, selection=HALF, settings=TEXT)
    return store


def ids(store: FeatureStore) -> dict[str, str]:
    rows = store.sql("SELECT kind, encoder_id FROM encoders").to_pylist()
    assert len(rows) == 2, "a hint has made another encoder"
    return {row["kind"]: row["encoder_id"] for row in rows}


def view(store: FeatureStore, **other: object) -> object:
    encoders = {f"{kind}_encoder": one for kind, one in ids(store).items()}
    return store.training_view(PROPERTY, **encoders, text_source=SOURCE, **other)


def executed(action: Callable[[], object]) -> object:
    """The action after the commands of its error; without them it must fail."""
    with pytest.raises(MissingContentError) as raised:
        action()
    assert raised.value.commands
    printed = [line[2:] for line in str(raised.value).splitlines() if line.startswith("  feature")]
    assert [tuple(shlex.split(line)) for line in printed] == list(raised.value.commands)
    for command in raised.value.commands:
        run(command)
    return action()


def test_of_coverage(store):
    ids(store)
    with store.session() as session:
        fills = [row["fill"] for row in coverage(session).to_pylist() if row["fill"]]
    assert len(fills) == 2 and all("--precision bfloat16" in fill for fill in fills)
    for fill in fills:
        run(tuple(shlex.split(fill)))
    ids(store)
    with store.session() as session:
        assert not any(row["lack"] for row in coverage(session).to_pylist())


@pytest.mark.slow
def test_of_an_empty_view(store):
    found = executed(lambda: view(store, where="material_id >= 'm08'"))
    assert len(found) == N - 8
    ids(store)


@pytest.mark.slow
def test_of_a_search(store):
    hits = executed(lambda: store.search.materials_like("m12", "both"))
    assert len(hits) == 8
    ids(store)


@pytest.mark.slow
def test_of_an_explanation(store):
    fitted = train.fit(store, view(store, split="s"), "gbt", max_epochs=3)
    model = fitted.model
    (effects,) = executed(lambda: explain.erase_tags(store, model, fold="train"))
    assert effects.table.num_rows
    material = view(store, split="s").material_ids[0]
    executed(lambda: explain.erase_words(store, material, model.model_id))
    ids(store)


@pytest.mark.slow
def test_of_a_verification(store):
    encoders = ids(store)
    for kind, encoder_id in encoders.items():
        table = embedding_table(kind, encoder_id)
        rows = store.sql(f"FROM {table} ORDER BY ALL LIMIT 1").to_pylist()
        rows[0]["vector"] = [0.0] * len(rows[0]["vector"])
        schema = store.dataset(table).schema
        store.remove(table, f"{kind}_id = '{rows[0][f'{kind}_id']}'")
        store.merge(table, pa.Table.from_pylist(rows, schema=schema))
    mends = [finding.mend for finding in verify(store) if "zero throughout" in finding.problem]
    assert len(mends) == 2
    for mend in mends:
        command = tuple(shlex.split(mend[mend.index("featurestore ingest") :]))
        assert "bfloat16" in command
        run(command)
    ids(store)
