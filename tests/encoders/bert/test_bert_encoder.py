"""The BERT encoder: equal to a plain forward pass, whatever the company of other texts."""

from __future__ import annotations

import json
import shutil
import socket

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import vocabulary, write_tiny_bert
from transformers import BertConfig

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.failure import Failure
from ingest.encoders.bert.encoder import load_bert_encoder
from ingest.encoders.bert.model import load_transformer
from ingest.encoders.bert.tokens import Tokenizer

TEXTS = [
    "NaCl crystallizes in the cubic Fm-3m space group. Na is bonded to six equivalent Cl atoms.",
    "MgB2.",
    "",
    "All Ti-O bond lengths are 1.97 Å; the tilt angles range from 2–14°. " * 4,
    "MgB2.",
    "There are two inequivalent O sites. " * 90,
]


@pytest.fixture(scope="module")
def encoder(tiny_folder):
    return load_bert_encoder(tiny_folder, name="tiny")


@pytest.fixture
def copied(tiny_folder, tmp_path):
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_vectors_equal_a_plain_forward_one_text_at_a_time(encoder, tiny_folder, plain_forward):
    for text, result in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        reference = plain_forward(tiny_folder, text)
        assert result.vector.dtype == np.float32
        assert result.vector.shape == (32,) == (encoder.spec.dimension,)
        np.testing.assert_allclose(result.vector, reference, atol=2e-6)


def test_mpnet_vectors_equal_a_plain_forward(tiny_mpnet_folder, plain_forward):
    encoder = load_bert_encoder(tiny_mpnet_folder, name="tiny-mpnet")
    for text, result in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        np.testing.assert_allclose(result.vector, plain_forward(tiny_mpnet_folder, text), atol=2e-6)


@pytest.mark.parametrize("layer", [0, 1, -2])
def test_an_earlier_layer_is_that_of_the_whole_model(layer, tiny_folder, plain_forward):
    encoder = load_bert_encoder(tiny_folder, name="tiny", layer=layer)
    [result] = encoder.encode(TEXTS[:1])
    reference = plain_forward(tiny_folder, TEXTS[0], layer=layer)
    np.testing.assert_allclose(result.vector, reference, atol=2e-6)


def test_vectors_do_not_depend_on_the_other_texts(encoder):
    together = encoder.encode(TEXTS)
    for text, result in zip(TEXTS, together, strict=True):
        [alone] = encoder.encode([text])
        np.testing.assert_allclose(result.vector, alone.vector, atol=1e-6)


def test_tokens_of_the_whole_text_are_counted(encoder):
    short, long = encoder.encode([TEXTS[1], TEXTS[-1]])
    assert (short.n_tokens, short.truncated) == (2 + len("mgb2."), False)
    assert (long.n_tokens, long.truncated) == (2 + 90 * 7, True)


def test_a_text_is_cut_at_max_tokens(tiny_folder, plain_forward):
    encoder = load_bert_encoder(tiny_folder, name="tiny", max_tokens=16)
    [result] = encoder.encode([TEXTS[0]])
    reference = plain_forward(tiny_folder, TEXTS[0], max_tokens=16)
    assert result.truncated
    np.testing.assert_allclose(result.vector, reference, atol=2e-6)


def test_a_text_of_20000_words_is_cut(encoder):
    words = "octahedra " * 20_000
    [result] = encoder.encode([words])
    assert (result.n_tokens, result.truncated) == (20_002, True)
    [beginning] = encoder.encode(["octahedra " * 510])
    np.testing.assert_allclose(result.vector, beginning.vector, atol=1e-6)


def test_an_empty_text_is_its_special_tokens(encoder, tiny_folder, plain_forward):
    blank, empty = encoder.encode([" \n", ""])
    assert (empty.n_tokens, empty.truncated) == (2, False)
    np.testing.assert_allclose(empty.vector, plain_forward(tiny_folder, ""), atol=2e-6)
    np.testing.assert_array_equal(blank.vector, empty.vector)


def test_each_distinct_text_is_encoded_once(encoder, monkeypatch):
    seen = []
    forward = type(encoder)._forward
    monkeypatch.setattr(
        type(encoder), "_forward", lambda self, batch: seen.extend(batch) or forward(self, batch)
    )
    results = encoder.encode(["a b", "c", "a b", "a b"])
    assert len(seen) == 2
    np.testing.assert_array_equal(results[0].vector, results[3].vector)
    assert not np.allclose(results[0].vector, results[1].vector)


@pytest.mark.parametrize("folder", ["tiny_folder", "tiny_mpnet_folder"])
def test_a_masked_word_is_one_mask_token(folder, request):
    from transformers import AutoTokenizer

    folder = request.getfixturevalue(folder)
    known = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer = Tokenizer(folder, load_transformer(folder, -1).config, 512)
    (tokens,) = tokenizer(["bond [MASK] [MASK] long"])
    inner = [i for i, special in zip(tokens.ids, tokens.special, strict=True) if not special]
    assert inner.count(known.mask_token_id) == 2
    assert known.mask_token_id not in (known.unk_token_id, None)
    (plain,) = tokenizer(["bond long"])
    assert tokens.n_tokens == plain.n_tokens + 2


def test_a_mask_is_refused_where_the_model_has_none(tiny_folder, monkeypatch):
    encoder = load_bert_encoder(tiny_folder, name="tiny")
    monkeypatch.setattr(encoder._tokenizer, "_mask", None)
    masked, plain = encoder.encode(["a [MASK] word", "a word"])
    assert masked.error == "NoMaskToken" and not isinstance(plain, Failure)


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]) == []


def test_pooling_and_special_tokens(tiny_folder, encoder):
    text = TEXTS[0]
    [everything] = encoder.encode([text])
    [inner] = load_bert_encoder(tiny_folder, name="t", special_tokens=False).encode([text])
    [first] = load_bert_encoder(tiny_folder, name="t", pooling="cls").encode([text])
    n = everything.n_tokens
    last = everything.vector * n - inner.vector * (n - 2) - first.vector
    assert not np.allclose(everything.vector, inner.vector, atol=1e-3)
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(tiny_folder)(text, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(tiny_folder).eval()(**inputs).last_hidden_state[0]
    np.testing.assert_allclose(first.vector, hidden[0].numpy(), atol=2e-6)
    np.testing.assert_allclose(last, hidden[-1].numpy(), atol=2e-4)


def test_without_special_tokens_an_empty_text_is_a_failure(tiny_folder):
    encoder = load_bert_encoder(tiny_folder, name="t", special_tokens=False)
    empty, full = encoder.encode(["", "a"])
    assert empty.error == "EmptyText"
    assert not isinstance(full, Failure)


def test_bfloat16_is_close_and_another_encoder(tiny_folder, encoder):
    rounded = load_bert_encoder(tiny_folder, name="tiny", precision="bfloat16")
    assert rounded.spec.encoder_id != encoder.spec.encoder_id
    for exact, near in zip(encoder.encode(TEXTS), rounded.encode(TEXTS), strict=True):
        a, b = exact.vector, near.vector
        assert near.vector.dtype == np.float32
        assert 0.999 < a @ b / np.linalg.norm(a) / np.linalg.norm(b) < 1 - 1e-9


def test_one_bad_text_does_not_lose_the_others(encoder):
    good, surrogate, unknown = encoder.encode(["cubic", "\ud800 cubic", "立方晶 結晶構造 原子"])
    assert not isinstance(good, Failure)
    assert surrogate.error == "UnicodeEncodeError"
    assert unknown.error == "UnknownTokens"


def test_fingerprint_tells_apart_what_changes_a_vector(tiny_folder, tmp_path, encoder):
    def encoder_id(folder=tiny_folder, **settings):
        return load_bert_encoder(folder, name="tiny", **settings).spec.encoder_id

    other = write_tiny_bert(tmp_path / "other", seed=1)
    retokenised = shutil.copytree(tiny_folder, tmp_path / "retokenised")
    (retokenised / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    ids = [
        encoder.spec.encoder_id,
        encoder_id(other),
        encoder_id(retokenised),
        encoder_id(layer=1),
        encoder_id(pooling="cls"),
        encoder_id(special_tokens=False),
        encoder_id(max_tokens=256),
        encoder_id(precision="bfloat16"),
    ]
    assert len(set(ids)) == len(ids)
    assert encoder_id(layer=2) == encoder.spec.encoder_id
    assert encoder_id(write_tiny_bert(tmp_path / "again")) == encoder.spec.encoder_id


def test_loading_and_encoding_need_no_network(tiny_folder, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("network used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    [result] = load_bert_encoder(tiny_folder, name="tiny").encode(["cubic"])
    assert not isinstance(result, Failure)


# Weights of other origins.


def rewrite_weights(folder, change):
    state = load_file(folder / "model.safetensors")
    save_file(change(state), folder / "model.safetensors")


def test_published_key_names_are_understood(copied, encoder):
    """Prefix, pre-training heads and TensorFlow's names, as in bert-base-uncased's file."""

    def as_published(state):
        renamed = {
            "bert."
            + key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): value
            for key, value in state.items()
        }
        return renamed | {"cls.predictions.bias": torch.zeros(3)}

    rewrite_weights(copied, as_published)
    same = load_bert_encoder(copied, name="tiny")
    np.testing.assert_array_equal(
        same.encode(TEXTS[:1])[0].vector, encoder.encode(TEXTS[:1])[0].vector
    )


def test_a_pytorch_file_with_vocab_only_is_understood(copied, encoder):
    """As MatBERT and SciBERT are published: config.json, pytorch_model.bin, vocab.txt."""
    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    (copied / "tokenizer_config.json").unlink()
    config = json.loads((copied / "config.json").read_text())
    del config["model_type"], config["architectures"]
    (copied / "config.json").write_text(json.dumps(config))
    same = load_bert_encoder(copied, name="tiny")
    np.testing.assert_array_equal(
        same.encode(TEXTS[:1])[0].vector, encoder.encode(TEXTS[:1])[0].vector
    )


def test_tokenizer_files_with_their_own_limits_do_not_cut_texts(copied):
    """all-MiniLM's tokenizer.json pads and truncates to 128 tokens."""
    from transformers import AutoTokenizer

    backend = AutoTokenizer.from_pretrained(copied).backend_tokenizer
    backend.enable_truncation(8)
    backend.enable_padding(length=8)
    backend.save(str(copied / "tokenizer.json"))
    tokens = Tokenizer(copied, BertConfig(vocab_size=len(vocabulary())), 512)
    short, long = tokens(["cubic", "cubic " * 20])
    assert (len(short.ids), len(long.ids), long.truncated) == (3, 22, False)


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_pickle_that_runs_code_is_refused(copied, capsys):
    (copied / "model.safetensors").unlink()
    torch.save({"x": Evil()}, copied / "pytorch_model.bin")
    with pytest.raises(InvalidInputError, match=r"pytorch_model\.bin cannot be read as weights"):
        load_bert_encoder(copied, name="tiny")
    assert "executed" not in capsys.readouterr().out


def test_truncated_weights_are_refused(copied):
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidInputError, match=r"model\.safetensors cannot be read as weights"):
        load_bert_encoder(copied, name="tiny")


def drop(state):
    return {k: v for k, v in state.items() if "layer.1.output.dense" not in k}


def widen(state):
    key = "encoder.layer.0.attention.self.query.weight"
    return state | {key: torch.zeros(64, 32)}


def add(state):
    return state | {"encoder.layer.2.output.dense.bias": torch.zeros(32)}


def poison(state):
    key = "encoder.layer.1.output.dense.bias"
    return state | {key: torch.full_like(state[key], torch.nan)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"it lacks encoder\.layer\.1\.output\.dense\.bias"),
        (widen, r"query\.weight has shape \(64, 32\), expected \(32, 32\)"),
        (add, r"it has in excess encoder\.layer\.2\.output\.dense\.bias"),
        (poison, r"layer\.1\.output\.dense\.bias holds NaN"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_key(copied, change, message):
    rewrite_weights(copied, change)
    with pytest.raises(InvalidInputError, match=message):
        load_bert_encoder(copied, name="tiny")


# Tokenizers that do not belong.


def test_a_tokenizer_of_another_model_is_refused(copied):
    tokens = [*vocabulary(), *(f"extra{i}" for i in range(300))]
    (copied / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(InvalidInputError, match="does not match its model: it has"):
        load_bert_encoder(copied, name="tiny")


def test_a_smaller_vocabulary_is_refused_unless_the_rest_is_padding(copied):
    n_rows = len(vocabulary())
    (copied / "vocab.txt").write_text("\n".join(vocabulary()[: n_rows - 5]))
    Tokenizer(copied, BertConfig(vocab_size=n_rows), 512)
    with pytest.raises(InvalidInputError, match="does not match its model"):
        Tokenizer(copied, BertConfig(vocab_size=n_rows + 500), 512)


def test_a_tokenizer_that_knows_no_word_is_refused(copied):
    tokens = vocabulary()[:5] + [f"[unused{i}]" for i in range(len(vocabulary()) - 5)]
    (copied / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(InvalidInputError, match="does not know most words"):
        load_bert_encoder(copied, name="tiny")


def test_a_damaged_tokenizer_is_refused(copied):
    (copied / "tokenizer.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"tokenizer in .* cannot be read"):
        load_bert_encoder(copied, name="tiny")


# Settings and places.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": 3}, "has 2 layers"),
        ({"layer": -4}, "has 2 layers"),
        ({"max_tokens": 513}, "takes 3 to 512"),
        ({"max_tokens": 2}, "takes 3 to 512"),
        ({"device": "tpu"}, "only cpu and cuda are known"),
        ({"pooling": "cls", "special_tokens": False}, "special_tokens must be True"),
    ],
)
def test_settings_that_do_not_suit_are_refused(tiny_folder, settings, message):
    with pytest.raises(InvalidInputError, match=message):
        load_bert_encoder(tiny_folder, name="tiny", **settings)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", '{"model_type": "gpt2"}', "describes a 'gpt2' model"),
        ("config.json", "{", "config.json"),
        ("config.json", None, "config.json"),
        ("model.safetensors", None, "has no weights"),
        ("vocab.txt", None, "has neither vocab.txt nor tokenizer.json"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(copied, name, content, message):
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        load_bert_encoder(copied, name="tiny")


def test_weights_that_are_not_here_are_named_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path))
    with pytest.raises(MissingDataError, match="featurestore models pull minilm"):
        load_bert_encoder("minilm", name="minilm")
    with pytest.raises(MissingDataError, match="featurestore models pull owner/model"):
        load_bert_encoder("owner/model", name="x")
    with pytest.raises(UnknownNameError, match="did you mean 'minilm'"):
        load_bert_encoder("minilm6", name="x")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_without_a_gpu_is_refused(tiny_folder):
    with pytest.raises(InvalidInputError, match="sees no CUDA GPU"):
        load_bert_encoder(tiny_folder, name="tiny", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_cuda_equals_the_cpu(tiny_folder, encoder):
    on_gpu = load_bert_encoder(tiny_folder, name="tiny", device="cuda")
    assert on_gpu.spec.encoder_id == encoder.spec.encoder_id
    for a, b in zip(on_gpu.encode(TEXTS), encoder.encode(TEXTS), strict=True):
        np.testing.assert_allclose(a.vector, b.vector, atol=1e-4)
