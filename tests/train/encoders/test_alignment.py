"""A joint space: pairs, batches, ranks, training, and search across it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from synthetic_store import PROPERTY, SPLIT
from told_store import TOLD, text_of
from train_silently import Interrupt, Silent

from featurestore.catalogue import find_encoder
from featurestore.cli.root import root
from featurestore.errors import (
    FeatureStoreError,
    InvalidInputError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.store import FeatureStore
from featurestore.vectors import Vectors
from ingest.encoders.load import load_encoder
from ingest.library.vectors import encode
from ingest.stages.selection import Selection
from train.encoders.alignment.align import align
from train.encoders.alignment.pairs import Pairs, compositions, stored_pairs
from train.encoders.alignment.retrieval import by_neighbours, chance, ranks, summary
from train.encoders.alignment.trainer import (
    AlignmentTrainer,
    AlignmentTraining,
    grouped_batches,
    similar_rows,
)
from train.encoders.folds import encoder_folds
from train.predictors.errors import TrainingError

SMALL = AlignmentTraining(
    dimension=8, hidden=32, epochs=80, batch_size=32, learning_rate=5e-3, dropout=0.0, patience=80
)


@pytest.fixture(scope="module")
def store(told_original: Path) -> FeatureStore:
    return FeatureStore.open(told_original)


@pytest.fixture(scope="module")
def pairs(store: FeatureStore) -> Pairs:
    with store.session() as session:
        return stored_pairs(session, "told", "tiny", "robocrystallographer", hold_out=[SPLIT])


def test_pairs_are_those_with_both_vectors_in_the_folds_of_the_split(pairs):
    assert len(pairs) == 80
    assert pairs.folds.counts == {"train": 48, "val": 16, "test": 16}
    number = [int(one.removeprefix("toy-")) for one in pairs.materials("test")]
    assert all(one % 5 == 4 for one in number)
    assert pairs.folds.notes == ()


def test_random_folds_say_which_test_materials_they_learn_from(store):
    with store.session() as session:
        ids = [f"structure-{i}" for i in range(40)]
        folds = encoder_folds(session, ids, seed=3)
        assert folds.counts == {"train": 32, "val": 4, "test": 4}
        learned = sum(int(one.split("-")[1]) % 5 == 4 for one in folds.members("train"))
        assert [note.partition(":")[0] for note in folds.notes] == [
            f"{learned} of the 18 test materials of split '{SPLIT}' ({PROPERTY}) are learned from"
        ]
        with pytest.raises(UnknownNameError, match="no-such"):
            encoder_folds(session, ids, hold_out=["no-such"])
        with pytest.raises(MissingDataError, match="0 are left to learn from"):
            encoder_folds(session, ["structure-3", "structure-4"], hold_out=[SPLIT])


def test_the_same_crystal_under_another_id_is_held_out_too(told_original, tmp_path):
    shutil.copytree(told_original, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.merge_rows(
        "duplicates",
        [
            {"structure_id": one, "group_id": "g", "matcher": "made up", "run_id": "toy"}
            for one in ("structure-4", "structure-5")
        ],
    )
    ids = [f"structure-{i}" for i in range(20)]
    with store.session() as session:
        assert encoder_folds(session, ids, hold_out=[SPLIT]).of["structure-5"] == "test"


def test_ranks_count_ties_half_and_copies_of_the_partner_as_the_partner():
    queries = np.eye(3, dtype=np.float32)
    assert ranks(queries, queries, list("abc"), list("abc")).tolist() == [1, 1, 1]
    alike = np.ones((3, 2), np.float32)
    assert ranks(alike, alike, list("abc"), list("abc")).tolist() == [2, 2, 2]
    # b's text is that of c as well: the nearer of the two counts, the other is no rival.
    texts = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], np.float32)
    assert ranks(queries, texts, list("abb"), list("abb")).tolist() == [1, 1, 1]
    found = summary("here", "text", np.array([1.0, 2.0, 30.0]))
    assert (found.recall_1, found.recall_10, found.median_rank) == (1 / 3, 2 / 3, 2.0)
    assert found.candidates == "structure"
    assert chance("text", 4).recall_10 == 1.0 and chance("text", 100).median_rank == 50.5


def test_neighbours_of_training_pairs_tell_what_lies_alike():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 4)).astype(np.float32)
    turned = vectors @ np.linalg.qr(random.normal(size=(4, 4)))[0].astype(np.float32)
    told = [by_neighbours(one[40:], one[:40], k=10) for one in (vectors, turned)]
    assert (np.count_nonzero(told[0], axis=1) == 10).all()
    found = ranks(told[0], told[1], list(range(20)), list(range(20)))
    assert np.median(found) == 1  # a rotation keeps who is near whom


def test_batches_hold_each_row_once_and_like_compositions_together():
    species = [["Na", "Cl"]] * 5 + [["Fe", "O", "O"]] * 5 + [["Si"]] * 5
    shares = compositions(species)
    assert shares.shape == (15, 5) and np.allclose(np.linalg.norm(shares, axis=1), 1)
    similar = similar_rows(shares)
    assert all({row, *similar[row][:4]} == set(range(5)) for row in range(5))
    batches = grouped_batches(similar, 5, 5, np.random.default_rng(0))
    assert sorted(row for batch in batches for row in batch) == list(range(15))
    assert all(len({row // 5 for row in batch}) == 1 for batch in batches)
    # A single row has nothing to be told from.
    sizes = [len(batch) for batch in grouped_batches(similar, 7, 1, np.random.default_rng(0))]
    assert sizes == [7, 8]


def test_an_interrupted_training_ends_with_the_same_weights(pairs, tmp_path):
    settings = replace(SMALL, epochs=4, dropout=0.2)
    undisturbed = AlignmentTrainer(settings, pairs, 1).fit(Silent())

    path = tmp_path / "resume.pt"
    with pytest.raises(KeyboardInterrupt):
        AlignmentTrainer(settings, pairs, 1, path).fit(Interrupt(after=2))
    resumed = AlignmentTrainer(settings, pairs, 1, path)
    assert len(resumed.history) == 2
    found = resumed.fit(Silent()).state_dict()
    assert all(torch.equal(found[name], v) for name, v in undisturbed.state_dict().items())
    with pytest.raises(InvalidInputError, match="other settings or rows"):
        AlignmentTrainer(settings, pairs, 2, path)


def test_equal_texts_are_no_negatives(pairs):
    same = replace(pairs, text_ids=["one text"] * len(pairs), texts=pairs.texts * 0)
    trainer = AlignmentTrainer(SMALL, same, 0)
    loss, wrong = trainer._losses(torch.arange(10))
    # Nothing is left to be told from: the partner is certain.
    assert float(loss.detach()) == 0.0 and wrong == 0.0


def test_a_diverging_training_says_so(pairs):
    with pytest.raises(TrainingError, match=r"diverged in epoch \d.*lower learning rate"):
        AlignmentTrainer(replace(SMALL, learning_rate=1e30), pairs, 0).fit(Silent())


@pytest.fixture(scope="module")
def joint(told_original: Path, pairs: Pairs, tmp_path_factory: pytest.TempPathFactory):
    """A store with both sides' vectors, and the folder of what was trained."""
    folder = tmp_path_factory.mktemp("joint")
    shutil.copytree(told_original, folder / "store")
    done = align(pairs, folder / "joint", SMALL, 0)
    store = FeatureStore.open(folder / "store")
    some = Selection(where="material_id < 'toy-085'")
    encode(store, str(done.folders["structure"]), selection=some)
    encode(store, str(done.folders["text"]), "robocrystallographer")
    return store, done


def test_unseen_structures_find_their_texts(joint):
    _, done = joint
    of = {(one.way, one.query): one for one in done.retrieval}
    for query in ("structure", "text"):
        assert of["joint space", query].n == 16
        assert of["joint space", query].recall_10 > of["chance", query].recall_10 + 0.2
        assert of["joint space", query].median_rank < 4 < of["chance", query].median_rank
        # All cells are rock salt: the composition tells none from another.
        assert of["composition alone", query].median_rank == of["chance", query].median_rank
        # … and all have the same elements.
        for way in ("joint space", "chance"):
            same = of[f"{way}, same elements", query]
            assert replace(same, way=way) == of[way, query]


def test_both_sides_are_encoders_whose_rows_are_projections(joint, pairs):
    store, done = joint
    with store.session() as session:
        for side, given, ids in (
            ("structure", pairs.structures, pairs.structure_ids),
            ("text", pairs.texts, pairs.text_ids),
        ):
            encoder = find_encoder(session, f"joint-{side}", side)
            loaded = load_encoder(str(done.folders[side]))
            assert loaded.spec.encoder_id == encoder.encoder_id
            stored = Vectors.of(session, encoder).read(ids)
            np.testing.assert_allclose(stored, loaded.project(given), atol=1e-6)
            np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-5)
            assert encoder.fingerprint["trained_on"] == pairs.materials("train")
        rows = session.query("FROM text_embeddings__" + encoder.encoder_id)
        assert rows.num_rows == 80 and min(rows["n_tokens"].to_pylist()) > 5
        assert Vectors.of(session, find_encoder(session, "joint-structure", "structure")).missing(
            ["structure-84", "structure-85"]
        ) == ["structure-85"]


def search(store: FeatureStore, *arguments: str) -> list[dict[str, object]]:
    given = ["search", *arguments, "--store", store.uri, "--format", "json"]
    result = CliRunner().invoke(root, given)
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


def test_words_find_structures_that_have_no_text(joint, tiny_folder):
    store, done = joint
    found = []
    for index in range(80, 85):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tiny_folder.parent)  # the base is found under its name
            hits = search(
                store, "text", text_of(index), "--encoder", "joint-text", "--weights",
                str(done.folders["text"]), "--find", "structure", "-k", "10",
            )  # fmt: skip
        found.append(f"toy-{index:03}" in [hit["material_id"] for hit in hits])
    assert sum(found) >= 3  # by chance each is there with probability 10 / 85


def test_a_stored_material_finds_across_the_space(joint):
    store, _ = joint
    text = ("--text", "robocrystallographer")
    with store.session() as session:
        other = Vectors.of(session, find_encoder(session, "joint-structure", "structure"))
        ids = [f"structure-{i}" for i in range(80)]
        structures = other.read(ids)
        rows = session.query("SELECT structure_id, text_id FROM texts('robocrystallographer')")
        key = dict(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))
        texts = Vectors.of(session, find_encoder(session, "joint-text", "text"))
        described = texts.read([key[one] for one in ids])
    for given, found, options in (
        (structures, described, ("--encoder", "joint-structure", "--find", "text", *text)),
        (
            described, structures,
            ("--space", "text", "--encoder", "joint-text", "--find", "structure", *text),
        ),
    ):  # fmt: skip
        where = ("--where", "material_id < 'toy-080'")
        hits = search(store, "like", "toy-007", *options, *where, "-k", "79")
        order = np.argsort(-(found @ given[7]), kind="stable")
        expected = [f"toy-{row:03}" for row in order if row != 7]
        assert [hit["material_id"] for hit in hits][:10] == expected[:10]
    with pytest.raises(InvalidInputError, match="not 'both'"):
        search(store, "like", "toy-007", "--space", "both", "--find", "text", *text)
    with pytest.raises(InvalidInputError, match="name an encoder of a joint space"):
        search(store, "like", "toy-007", "--encoder", "told", "--find", "text", *text)


def test_encoders_without_a_joint_space_are_refused(joint, tiny_folder):
    store, _ = joint
    with pytest.raises(InvalidInputError, match="name an encoder of a joint space"):
        search(
            store, "text", "cubic", "--encoder", "tiny", "--weights", str(tiny_folder),
            "--find", "structure",
        )  # fmt: skip


def run(store: FeatureStore, folder: Path, *options: str):
    given = {
        "--structure-encoder": "told", "--text": "robocrystallographer", "--text-encoder": "tiny",
        "-o": str(folder / "new"), "--epochs": "1", "--store": store.uri,
    }  # fmt: skip
    given |= dict(zip(options[::2], options[1::2], strict=True))
    return CliRunner().invoke(
        root, ["train", "align", *(w for pair in given.items() for w in pair)]
    )


def test_the_command_and_what_it_refuses(store, told_original, tmp_path):
    done = run(store, tmp_path)
    assert done.exit_code == 0, done.output
    assert "joint space" in done.stdout and "median rank" in done.stdout
    assert "are learned from: errors of models on them will be optimistic" in done.stderr
    again = run(store, tmp_path)
    assert isinstance(again.exception, InvalidInputError) and "finished model" in str(
        again.exception
    )
    shutil.copytree(told_original, tmp_path / "store")
    one = FeatureStore.open(tmp_path / "store")
    one.remove("sentences", "structure_id <> 'structure-7'")
    refused = run(one, tmp_path, "-o", str(tmp_path / "one"))
    assert isinstance(refused.exception, MissingDataError)
    assert "1 structures have both vectors" in str(refused.exception)
    one.remove(f"structure_embeddings__{TOLD}", "true")
    none = run(one, tmp_path, "-o", str(tmp_path / "none"))
    assert isinstance(none.exception, FeatureStoreError)
    assert "none has both a vector" in str(none.exception)
    assert "featurestore ingest embeddings" in str(none.exception)


def test_a_damaged_folder_is_refused(joint, tmp_path):
    _, done = joint
    for name, spoil, message in (
        ("model.safetensors", lambda raw: raw[:100], "cannot be read as weights"),
        ("config.json", lambda raw: raw.replace(b'"base"', b'"bass"'), "lacks what the encoder"),
        ("config.json", lambda raw: raw.replace(b'"dimension": 8', b'"dimension": 9'), "of shape"),
    ):
        folder = tmp_path / message.replace(" ", "-")
        shutil.copytree(done.folders["structure"], folder)
        (folder / name).write_bytes(spoil((folder / name).read_bytes()))
        with pytest.raises(InvalidInputError, match=message):
            load_encoder(str(folder))
