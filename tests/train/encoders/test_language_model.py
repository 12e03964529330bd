"""A tokenizer and a language model of a store's sentences."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from told_store import text_of
from train_silently import Interrupt, Silent

from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.store import FeatureStore
from ingest.encoders.bert.model import built, load_transformer
from ingest.encoders.bert.new import Sizes, enlarge, new_transformer, write_enlarged_tokenizer
from ingest.encoders.bert.numbers import NumberForm
from ingest.encoders.bert.phrases import frequent_phrases
from ingest.encoders.bert.tokens import Tokenizer, vocabulary_of
from ingest.encoders.load import load_encoder
from train.encoders.text.masked import MaskedTrainer, MaskedTraining, masked
from train.encoders.text.sentences import stored_sentences
from train.encoders.text.vocabulary import (
    check_numbers,
    new_words,
    token_report,
    train_tokenizer,
)
from train.predictors.errors import TrainingError

SMALL = MaskedTraining(
    max_tokens=32, passes=30, texts_a_round=50, patience=99, batch_size=8, learning_rate=1e-2
)
SIZES = Sizes(layers=1, hidden=16, heads=2, positions=64)
CRYSTALS = [
    f"LiFePO{i % 4 + 1} is orthorhombic with a density of {3 + i / 100:.2f} g/cm³; KCl is cubic"
    for i in range(60)
]


def tokenizer_of(folder: Path, max_tokens: int = 64) -> Tokenizer:
    size, pad = vocabulary_of(folder)
    return Tokenizer(folder, built(SIZES.config(size, pad)).config, max_tokens, probe=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for kind in ("wordpiece", "bpe"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        train_tokenizer(CRYSTALS, kind, 200, folders[kind])
    return folders


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_formulas_are_cut_into_elements_and_numbers_into_digits(trained, kind):
    tokenizer = tokenizer_of(trained[kind])
    assert tokenizer.words("LiFePO4 at 3.25 Å")[:9] == [
        "Li", "Fe", "P", "O", "4", "at", "3", ".", "2",
    ]  # fmt: skip
    [one] = tokenizer(["LiFePO4 is orthorhombic"])
    assert one.n_unknown == 0 and len(one.ids) == 2 + 7
    [new] = tokenizer(["NaCl at 987"])  # N and Na were not met
    assert tokenizer.digits_kept(["NaCl at 987"]) == 1.0
    assert new.n_unknown == 0
    report = token_report("mine", tokenizer, CRYSTALS[:5], NumberForm())
    assert report.unknown == 0 and report.digits == 1 and report.truncated == 0
    check_numbers(report)


def test_a_compact_tokenizer_spends_a_token_on_a_number_and_on_what_all_texts_say(tmp_path):
    rounded = NumberForm(decimals=1)
    train_tokenizer([rounded(text) for text in CRYSTALS], "wordpiece", 300, tmp_path, compact=True)
    tokenizer = tokenizer_of(tmp_path)
    [one] = tokenizer(["LiFePO4 is orthorhombic with a density of 3.2 g/cm³; KCl is cubic"])
    tokens = [tokenizer._backend.id_to_token(token) for token in one.ids[1:-1]]
    assert tokens == [
        "Li", "Fe", "P", "O", "4", "is orthorhombic with", "a", "density of", "3.2", "g", "/",
        "cm", "³", ";", "K", "Cl", "is cubic",
    ]  # fmt: skip
    listed, apart = tokenizer(["3.2, 3.2, 3.2", "3.2 3.2 3.2"])
    assert listed.ids == apart.ids and len(listed.ids) == 2 + 3
    [new] = tokenizer(["NaCl at 98.7"])
    assert new.n_unknown == 0 and tokenizer.digits_kept(["NaCl at 98.7"]) == 1.0


def test_phrases_are_what_texts_repeat_between_numbers_and_elements():
    texts = [f"The gap of NiO is {i}.5 eV, as was found before" for i in range(40)]
    texts += ["An odd one out, it is said, of K and Na"] * 9
    assert frequent_phrases(texts, 9) == ["eV, as was found before", "The gap of"]
    assert frequent_phrases(texts, 1) == ["eV, as was found before"]
    assert frequent_phrases(["NiO"] * 20, 5) == []


def test_a_tokenizer_that_drops_numbers_is_refused(trained, tmp_path):
    folder = tmp_path / "no-digits"
    shutil.copytree(trained["wordpiece"], folder)
    told = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocabulary = told["model"]["vocab"]
    kept = [word for word in sorted(vocabulary, key=vocabulary.get) if not word.isdigit()]
    told["model"]["vocab"] = {word: place for place, word in enumerate(kept)}
    (folder / "tokenizer.json").write_text(json.dumps(told), "utf-8")
    report = token_report("no-digits", tokenizer_of(folder), CRYSTALS[:5], NumberForm())
    assert report.digits == 0 and report.unknown > 0.1
    with pytest.raises(InvalidInputError, match="'no-digits' drops numbers: 100%"):
        check_numbers(report)


def test_more_words_start_as_the_mean_of_their_pieces(tiny_folder, tmp_path, trained):
    transformer = load_transformer(tiny_folder, -1)
    with pytest.raises(InvalidInputError, match=r"no tokenizer.json of WordPiece"):
        write_enlarged_tokenizer(tiny_folder, tmp_path / "no", ["x"], 3)
    with pytest.raises(InvalidInputError, match=r"no tokenizer.json of WordPiece"):
        write_enlarged_tokenizer(trained["bpe"], tmp_path / "no", ["x"], 3)
    # Its vocab.txt as a tokenizer.json, as published models have both.
    base = tmp_path / "base"
    shutil.copytree(tiny_folder, base)
    old = Tokenizer(base, transformer.config, 32)
    (base / "tokenizer.json").write_text(old._backend.to_str(), "utf-8")
    words = new_words(old, ["orthorhombicity is 12 12 12 perovskites"] * 5, 9)
    assert words == ["orthorhombicity", "perovskites"]
    write_enlarged_tokenizer(base, tmp_path / "new", words, old.vocabulary_size)
    larger = enlarge(transformer, old, words)
    new = Tokenizer(tmp_path / "new", larger.config, 32)
    assert new.vocabulary_size == old.vocabulary_size + 2
    [before], [after] = old(["perovskites"]), new(["perovskites"])
    assert len(before.ids) > 4 and after.ids[1:-1] == [old.vocabulary_size + 1]
    rows = larger.module.state_dict()["embeddings.word_embeddings.weight"]
    torch.testing.assert_close(rows[-1], rows[before.ids[1:-1]].mean(dim=0))
    same = "the cubic structure"
    assert new([same])[0].ids == old([same])[0].ids
    ids = torch.tensor([old([same])[0].ids])
    with torch.no_grad():
        ours, theirs = (m.module(input_ids=ids).last_hidden_state for m in (larger, transformer))
    torch.testing.assert_close(ours, theirs)


def test_masks_hide_what_is_asked_for():
    ids = torch.arange(5, 1005).reshape(10, 100)
    special = torch.zeros_like(ids, dtype=torch.bool)
    special[:, 0] = True
    generator = torch.Generator().manual_seed(0)
    asked, shown = masked(ids, special, 3, 2000, generator)
    assert 0.12 < asked.float().mean() < 0.18 and not asked[:, 0].any()
    assert torch.equal(shown[~asked], ids[~asked])
    assert 0.7 < (shown[asked] == 3).float().mean() < 0.9
    one = masked(torch.tensor([[1, 9, 2]]), torch.tensor([[True, False, True]]), 3, 20, generator)
    assert one[0].tolist() == [[False, True, False]]  # a text always asks for something


def learner(folder: Path, settings: MaskedTraining = SMALL, checkpoint: Path | None = None):
    size, pad = vocabulary_of(folder)
    transformer = new_transformer(SIZES, size, pad, 0)
    tokenizer = Tokenizer(folder, transformer.config, settings.max_tokens, probe=False)
    return MaskedTrainer(
        settings, CRYSTALS[:50], CRYSTALS[50:], transformer, tokenizer, "new", 1, checkpoint
    )


def test_it_learns_and_goes_on_from_where_it_was_killed(trained, tmp_path):
    undisturbed = learner(trained["wordpiece"])
    undisturbed.fit(Silent())
    best = min(one.val_mae for one in undisturbed.history)
    assert best < 0.7 * undisturbed.history[0].val_mae and best < undisturbed.of_frequencies
    path = tmp_path / "resume.pt"
    with pytest.raises(KeyboardInterrupt):
        learner(trained["wordpiece"], checkpoint=path).fit(Interrupt(after=3))
    resumed = learner(trained["wordpiece"], checkpoint=path)
    assert len(resumed.history) == 3
    resumed.fit(Silent())
    found = resumed.model.state_dict()
    assert all(torch.equal(found[k], v) for k, v in undisturbed.model.state_dict().items())
    with pytest.raises(TrainingError, match=r"diverged in epoch \d.*learning-rate"):
        learner(trained["wordpiece"], replace(SMALL, learning_rate=1e30)).fit(Silent())


def run(store: FeatureStore, folder: Path, compare: Path, *options: str):
    given = [
        "train", "language-model", "--text", "robocrystallographer", "-o", str(folder),
        "--store", store.uri, "--compare", str(compare), "--passes", "1", "--layers", "1",
        "--hidden", "16", "--heads", "2", "--max-tokens", "24", *options,
    ]  # fmt: skip
    return CliRunner().invoke(root, given)


def test_the_model_is_an_encoder(told_original, tiny_folder, tmp_path):
    store = FeatureStore.open(told_original)
    folder = tmp_path / "mine"
    done = run(store, folder, tiny_folder, "--vocabulary", "150", "--format", "json")
    assert done.exit_code == 0, done.output
    ours, theirs = json.loads(done.stdout)
    assert (ours["tokenizer"], theirs["tokenizer"]) == ("mine", tiny_folder.name)
    assert ours["unknown"] == 0 and ours["digits"] == 1
    assert "are learned from" in done.stderr and "1 - p of masked tokens" in done.stderr
    encoder = load_encoder(str(folder), max_tokens=24)
    (vector,) = encoder.encode([text_of(3)])
    assert vector.vector.shape == (16,) and np.isfinite(vector.vector).all()
    assert encoder.spec.fingerprint["learned"]["task"].startswith("masked tokens of robo")
    again = run(store, folder, tiny_folder)
    assert isinstance(again.exception, InvalidInputError)
    both = run(
        store, tmp_path / "x", tiny_folder, "--weights", "minilm", "--tokenizer", str(folder)
    )
    assert both.exit_code == 2
    wide = run(store, tmp_path / "x", tiny_folder, "--heads", "3")
    assert isinstance(wide.exception, InvalidInputError) and "sizes" in str(wide.exception)


def test_three_sentences_are_no_language(told_original, tiny_folder, tmp_path):
    shutil.copytree(told_original, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.remove("sentences", "structure_id NOT IN ('structure-1','structure-2','structure-3')")
    with store.session() as session, pytest.raises(MissingDataError, match="3 texts are no lang"):
        stored_sentences(session, ["robocrystallographer"])
    refused = run(store, tmp_path / "x", tiny_folder)
    assert isinstance(refused.exception, MissingDataError)
    assert not (tmp_path / "x" / "model.safetensors").exists()
