"""A text source model: what it reads, learns, refuses, and that it goes on as if nothing was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from synthetic_store import PROPERTY, SPLIT, TEXT_ENCODER
from told_store import TOLD, text_of
from train_silently import Interrupt, Silent

from featurestore.catalogue import encoders, find_encoder
from featurestore.cli.root import root
from featurestore.errors import (
    InvalidInputError,
    MissingContentError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.store import FeatureStore
from ingest.encoders.bert.encoder import load_bert_encoder
from ingest.encoders.bert.model import load_transformer
from ingest.encoders.bert.numbers import NumberForm, number_form
from ingest.encoders.bert.tokens import Tokenizer
from ingest.encoders.load import load_encoder
from ingest.encoders.schooling import schooling
from ingest.library.vectors import encode
from train.analysis.leakage import leakage
from train.encoders.text import rounds
from train.encoders.text.corpus import Corpus, stored_corpus
from train.encoders.text.distilled import principal_components, with_structure_vectors
from train.encoders.text.network import Learning
from train.encoders.text.regression import TextTrainer, TextTraining
from train.encoders.text.rounds import length_sorted_batches
from train.encoders.text.source import train_text_source
from train.predictors.errors import TrainingError
from train.source_tasks import optimistic

SMALL = TextTraining(
    max_tokens=64, passes=6, texts_a_round=24, patience=99, batch_size=8, learning_rate=1e-3
)
LONG, SHORT = "long", "short"


@pytest.fixture(scope="module")
def store(told_original: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The store with a property that a word of the text decides, and a rarer one."""
    folder = tmp_path_factory.mktemp("source") / "store"
    shutil.copytree(told_original, folder)
    store = FeatureStore.open(folder)
    for name, of in (
        ("gap_of_words", lambda text: text.count("is l") - 2.0 * text.count("edge")),
        ("rarer", lambda text: 10.0 * text.count("cubic")),
    ):
        store.merge_rows(
            "properties",
            [
                {
                    "material_id": f"toy-{i:03}", "property": name, "source": "toy",
                    "value": of(text_of(i)), "unit": "eV", "run_id": "toy",
                }
                for i in range(0, 80, 1 if name == "gap_of_words" else 2)
            ],
        )  # fmt: skip
    return store


@pytest.fixture(scope="module")
def corpus(store: FeatureStore) -> Corpus:
    with store.session() as session:
        return stored_corpus(
            session, ["gap_of_words", "rarer"], ["robocrystallographer"], hold_out=[SPLIT]
        )


def trainer(
    corpus: Corpus, base: Path, settings: TextTraining = SMALL, checkpoint: Path | None = None
) -> TextTrainer:
    transformer = load_transformer(base, -1)
    tokenizer = Tokenizer(base, transformer.config, settings.max_tokens)
    return TextTrainer(settings, corpus, transformer, tokenizer, "base", 1, checkpoint)


def test_numbers_are_rounded_and_spelt_in_digits():
    form = NumberForm(digits=True, decimals=1)
    assert form("Fe2O3 has 6.233 g/cm³, 90.0 degrees, P4_1 and 1.5.2") == (
        "Fe2O3 has 6.2 g/cm³, 9 0.0 degrees, P4_1 and 1.5.2"
    )
    assert NumberForm()("12.345") == "12.345" and NumberForm().said() == {}
    assert number_form(form.said()) == form and number_form({}) == NumberForm()
    for said in ({"digits": 1}, [], {"digits": True, "decimals": "2"}):
        with pytest.raises(InvalidInputError, match="no form of numbers"):
            number_form({"numbers": said})
    with pytest.raises(InvalidInputError, match="0 to 9 decimals, not 12"):
        NumberForm(decimals=12)


def test_batches_hold_each_row_once_and_like_lengths():
    lengths = np.random.default_rng(0).integers(5, 100, 300).tolist()
    batches = length_sorted_batches(lengths, 8, [0, 0])
    assert sorted(row for batch in batches for row in batch) == list(range(300))
    spread = np.mean([max(lengths[r] for r in b) - min(lengths[r] for r in b) for b in batches])
    assert spread < 15 < max(lengths) - min(lengths)
    assert batches != length_sorted_batches(lengths, 8, [0, 1])


def test_the_corpus_has_what_is_known_and_holds_out_the_split(corpus, store):
    assert len(corpus) == 80 and corpus.folds.counts == {"train": 48, "val": 16, "test": 16}
    assert np.isnan(corpus.targets[:, 0]).sum() == 0 and np.isnan(corpus.targets[:, 1]).sum() == 40
    assert corpus.properties == (("gap_of_words", "eV"), ("rarer", "eV"))
    with store.session() as session:
        random = stored_corpus(session, [PROPERTY], ["robocrystallographer"])
        assert random.folds.counts == {"train": 72, "val": 4, "test": 4}
        assert "are learned from" in random.folds.notes[0]
        few = stored_corpus(session, [PROPERTY], ["robocrystallographer"], limit=30)
        assert len(few) == 30
        with pytest.raises(UnknownNameError):
            stored_corpus(session, ["no-such"], ["robocrystallographer"])
        with pytest.raises(InvalidInputError, match="named twice"):
            stored_corpus(session, [PROPERTY, PROPERTY], ["robocrystallographer"])


def test_a_property_that_no_validation_structure_has_is_learned_with_a_note(corpus, store):
    shared = {"property": "elsewhere", "source": "toy", "unit": "eV", "run_id": "toy"}
    rows = [{"material_id": one, "value": 1.0} | shared for one in corpus.materials("train")]
    store.merge_rows("properties", rows)
    source = ["robocrystallographer"]
    with store.session() as session:
        both = stored_corpus(session, [PROPERTY, "elsewhere"], source, hold_out=[SPLIT])
        assert "no validation structure has a value of 'elsewhere'" in both.folds.notes[-1]
        assert (~np.isnan(both.targets[:, 1])).sum() == 48
        alone = stored_corpus(session, ["elsewhere"], source, hold_out=[SPLIT])
        assert alone.folds.counts == {"train": 44, "val": 2, "test": 2}


def test_it_learns_both_properties_from_the_words(corpus, tiny_folder):
    learner = trainer(corpus, tiny_folder, replace(SMALL, passes=25))
    learner.fit(Silent())
    best = learner.history[learner.best.best_epoch - 1]
    assert best.val_mae == min(one.val_mae for one in learner.history)
    assert best.val_mae < 0.75 * learner.of_constant
    rows = corpus.rows("val")
    known = ~np.isnan(corpus.targets[rows])
    off = np.abs(learner.predictions(rows) - corpus.targets[rows]) / learner.size
    assert off[known].mean() == pytest.approx(best.val_mae, rel=1e-4)


@pytest.mark.parametrize(
    ("learning", "fixed", "moved"),
    [
        (Learning("upper", 1), ["embeddings.", "encoder.layer.0."], "encoder.layer.1."),
        (Learning("lora", rank=2), ["embeddings.", "encoder.layer.0.output"], "lora_"),
    ],
)
def test_only_the_chosen_weights_learn(corpus, tiny_folder, learning, fixed, moved):
    if learning.what == "lora":
        pytest.importorskip("peft")
    learner = trainer(corpus, tiny_folder, replace(SMALL, learning=learning, passes=1))
    before = {name: value.clone() for name, value in learner.regressor.state_dict().items()}
    learner.fit(Silent())
    for name, value in learner.regressor.state_dict().items():
        same = torch.equal(value, before[name])
        if any(part in name for part in fixed) and "lora_" not in name:
            assert same, name
    assert any(
        moved in name and not torch.equal(value, before[name])
        for name, value in learner.regressor.state_dict().items()
    )


def test_an_interrupted_training_ends_with_the_same_weights(corpus, tiny_folder, tmp_path):
    undisturbed = trainer(corpus, tiny_folder)
    undisturbed.fit(Silent())
    assert undisturbed.rounds_a_pass == 2 and len(undisturbed.history) == 12
    path = tmp_path / "resume.pt"
    with pytest.raises(KeyboardInterrupt):  # in the middle of the second pass
        trainer(corpus, tiny_folder, checkpoint=path).fit(Interrupt(after=3))
    resumed = trainer(corpus, tiny_folder, checkpoint=path)
    assert len(resumed.history) == 3
    resumed.fit(Silent())
    found = resumed.regressor.state_dict()
    for name, value in undisturbed.regressor.state_dict().items():
        assert torch.equal(found[name], value), name
    with pytest.raises(InvalidInputError, match="other settings or rows"):
        trainer(corpus, tiny_folder, replace(SMALL, passes=7), path)


def test_components_are_those_of_the_training_structures_alone():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    vectors = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)
    vectors[:, 1] = 100 * vectors[:, 0] + vectors[:, 1]
    vectors[:, 6] = 3.0
    learned = list(range(0, 60, 2))
    values, share = principal_components(vectors, learned, 3)
    exact = vectors.astype(np.float64)
    scaler = StandardScaler().fit(exact[learned])
    theirs = PCA(3, svd_solver="full").fit(scaler.transform(exact[learned]))
    expected = theirs.transform(scaler.transform(exact))
    np.testing.assert_allclose(np.abs(values), np.abs(expected), atol=1e-8)
    assert share == pytest.approx(theirs.explained_variance_ratio_.sum())


def test_structure_vectors_are_learned_from_the_words(corpus, store, tiny_folder, tmp_path):
    with store.session() as session:
        more, told = with_structure_vectors(session, corpus, TOLD, 4)
        with pytest.raises(InvalidInputError, match="have 12 principal components, not 13"):
            with_structure_vectors(session, corpus, TOLD, 13)
        nothing = replace(corpus, structure_ids=[f"other-{one}" for one in corpus.structure_ids])
        with pytest.raises(MissingContentError, match="none of the 48 structures to learn from"):
            with_structure_vectors(session, nothing, TOLD, 4)
    assert more.targets.shape == (80, 6) and not np.isnan(more.targets[:, 2:]).any()
    np.testing.assert_array_equal(more.targets[:, :2], corpus.targets)
    settings = replace(SMALL, passes=12)
    done = train_text_source(more, str(tiny_folder), tmp_path / "student", settings, distilled=told)
    error = next(one for one in done.errors if one.property.startswith("4 components of told"))
    assert error.n == 16 and error.mae < 0.9 * error.constant
    learned = load_encoder(str(tmp_path / "student")).spec.fingerprint["learned"]
    assert learned["projected"] == {TOLD: None} and learned["components"] == 4


def test_a_rate_that_is_too_high_is_told(corpus, tiny_folder):
    for rate in (1.0, 1e30):
        with pytest.raises(TrainingError, match=r"diverged in (round|epoch) \d.*learning-rate"):
            trainer(corpus, tiny_folder, replace(SMALL, learning_rate=rate)).fit(Silent())


def test_bfloat16_is_for_processors_that_multiply_tiles_of_it(monkeypatch):
    monkeypatch.setattr(rounds, "has_amx", lambda: False)
    with pytest.raises(InvalidInputError, match="no AMX: train in float32"):
        replace(SMALL, precision="bfloat16")
    monkeypatch.setattr(rounds, "has_amx", lambda: True)
    assert replace(SMALL, precision="bfloat16").precision == "bfloat16"
    assert replace(SMALL, precision="bfloat16", device="cuda").device == "cuda"


@pytest.mark.skipif(not rounds.has_amx(), reason="this CPU has no AMX")
def test_bfloat16_learns_as_float32_does(corpus, tiny_folder):
    told = []
    for precision in ("float32", "bfloat16"):
        one = trainer(corpus, tiny_folder, replace(SMALL, precision=precision))
        one.fit(Silent())
        told.append([epoch.val_mae for epoch in one.history])
    np.testing.assert_allclose(told[1], told[0], rtol=0.05)
    assert told[0] != told[1]


def run(store: FeatureStore, folder: Path, base: Path, *options: str):
    given = [
        "train", "text-source", "--property", "gap_of_words", "--text", "robocrystallographer",
        "--weights", str(base), "-o", str(folder), "--store", store.uri, "--passes", "1",
        "--learning-rate", "1e-3", *options,
    ]  # fmt: skip
    return CliRunner().invoke(root, given)


def test_the_model_is_an_encoder_that_says_what_it_has_learned(store, tiny_folder, tmp_path):
    folder = tmp_path / "reader"
    done = run(store, folder, tiny_folder, "--digits", "--max-tokens", "10", "--learn", "upper")
    assert done.exit_code == 0, done.output
    assert "80 texts of structures: 72 train, 4 val, 4 test" in done.stdout
    assert "gap_of_words, test MAE" in done.stdout and "a constant:" in done.stdout
    assert "80 of them are longer than 10 tokens and were cut" in done.stderr
    assert "test materials of split 'toy'" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "head.safetensors", "materials.csv", "model.safetensors",
        "tokenizer_config.json", "vocab.txt",
    ]  # fmt: skip
    encoder = load_bert_encoder(folder, name="reader", max_tokens=10)
    assert encoder.spec.fingerprint["numbers"] == {"digits": True, "decimals": None}
    assert len(encoder.spec.fingerprint["trained_on"]) == 72
    # What the head says of the encoder's vectors is what the model predicts.
    from safetensors.numpy import load_file

    head = load_file(folder / "head.safetensors")
    vectors = np.stack([one.vector for one in encoder.encode([text_of(i) for i in range(80)])])
    errors = json.loads((folder / "config.json").read_text("utf-8"))["training"]["errors"]
    fold = {
        line.split(",")[0]: line.split(",")[1].strip()
        for line in (folder / "materials.csv").read_text("utf-8").splitlines()[1:]
    }
    rows = [i for i in range(80) if fold[f"toy-{i:03}"] == "test"]
    truth = np.array([text_of(i).count("is l") - 2.0 * text_of(i).count("edge") for i in rows])
    predicted = (vectors[rows] @ head["weight"].T + head["bias"])[:, 0]
    told = next(one for one in errors if one["fold"] == "test")
    assert np.abs(predicted - truth).mean() == pytest.approx(told["mae"], rel=1e-4)

    encode(store, str(folder), "robocrystallographer", settings={"max_tokens": 10})
    with store.session() as session:
        stored = find_encoder(session, "reader", "text")
        seen = leakage(session, PROPERTY, SPLIT)
    assert stored.encoder_id == encoder.spec.encoder_id
    assert optimistic(stored, PROPERTY) is None
    assert "has learned gap_of_words" in str(optimistic(stored, "gap_of_words"))
    assert any(leak.met_in == stored.encoder_id and leak.materials > 5 for leak in seen.leaks)
    again = run(store, folder, tiny_folder)
    assert isinstance(again.exception, InvalidInputError)


def test_a_merged_lora_gives_the_vectors_of_the_adapted_model(corpus, tiny_folder, tmp_path):
    pytest.importorskip("peft")
    settings = replace(SMALL, learning=Learning("lora", rank=2), passes=2)
    done = train_text_source(corpus, str(tiny_folder), tmp_path / "adapted", settings)
    encoder = load_encoder(str(tmp_path / "adapted"), max_tokens=64)
    base = load_encoder(str(tiny_folder))
    ours, theirs = (one.encode([text_of(1)])[0].vector for one in (encoder, base))
    assert np.abs(ours - theirs).max() > 1e-4
    assert done.best_round >= 1 and not (tmp_path / "adapted" / "resume.pt").exists()


def test_energies_are_known_under_each_name_and_projections_know_what_their_base_knows(store):
    with store.session() as session:
        encoder = next(e for e in encoders(session, "text") if e.encoder_id == TEXT_ENCODER)
    told = replace(encoder, fingerprint={"learned": {"properties": ["formation_energy_per_atom"]}})
    assert optimistic(told, "ehull") and optimistic(told, "formation_energy_peratom")
    assert optimistic(told, "mbj_bandgap") is None
    sha256 = "9c8b6987b69cc11fbc6ec2f2752466a033910ef1ca463fad6c04d1260e95505f"
    joint = replace(encoder, fingerprint={"learned": {"projected": {"alignn_ff_1": sha256}}})
    taught = {"properties": ["mbj_bandgap"], "projected": {"alignn_ff_1": sha256}}
    both = replace(encoder, fingerprint={"learned": taught})
    assert optimistic(both, "ehull") and optimistic(both, "mbj_bandgap")
    assert "from vectors that have learned energies" in str(optimistic(joint, "ehull"))
    assert schooling({"training": {"property": "x"}}) == {}


def test_too_few_texts_and_other_encoders_are_refused(store, tiny_folder, told_original, tmp_path):
    other = run(store, tmp_path / "no", tiny_folder, "--weights", "matminer")
    assert isinstance(other.exception, InvalidInputError)
    assert "one of the BERT family" in str(other.exception)
    long = run(store, tmp_path / "no", tiny_folder, "--max-tokens", "9999")
    assert isinstance(long.exception, InvalidInputError) and "takes 3 to" in str(long.exception)
    shutil.copytree(told_original, tmp_path / "store")
    three = FeatureStore.open(tmp_path / "store")
    three.remove("sentences", "structure_id NOT IN ('structure-1','structure-2','structure-3')")
    refused = run(three, tmp_path / "no", tiny_folder, "--property", PROPERTY)
    assert isinstance(refused.exception, (MissingDataError, UnknownNameError))
    with three.session() as session, pytest.raises(MissingDataError, match="3 structures have a"):
        stored_corpus(session, [PROPERTY], ["robocrystallographer"])


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bytes(told_original, tiny_folder, tmp_path):
    given = [
        sys.executable, "-c", "from featurestore.cli import main; main()", "train", "text-source",
        "--property", PROPERTY, "--text", "robocrystallographer", "--weights", str(tiny_folder),
        "--store", str(told_original), "--passes", "30", "--texts-a-round", "16",
        "--patience", "999", "--max-tokens", "24",
    ]  # fmt: skip
    whole, part = tmp_path / "whole" / "taught", tmp_path / "part" / "taught"
    for folder in (whole, part):
        folder.parent.mkdir()
    subprocess.run([*given, "-o", str(whole)], check=True, capture_output=True)
    with subprocess.Popen([*given, "-o", str(part)], stderr=subprocess.DEVNULL) as killed:
        while not (part / "resume.pt").exists():
            assert killed.poll() is None
            time.sleep(0.01)
        killed.kill()
    assert killed.returncode == -signal.SIGKILL and not (part / "model.safetensors").exists()
    subprocess.run([*given, "-o", str(part)], check=True, capture_output=True)
    for name in ("model.safetensors", "head.safetensors"):
        assert (part / name).read_bytes() == (whole / name).read_bytes()
