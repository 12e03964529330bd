"""The threads of an encoder: one core each, order kept, settings of the process left alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from tiny_alignn import write_tiny_alignn
from tiny_bert import write_tiny_bert

from featurestore.crystal import Crystal
from ingest.encoders.alignn.encoder import _groups, load_alignn_encoder
from ingest.encoders.alignn.model import padded
from ingest.encoders.bert.encoder import load_bert_encoder
from ingest.encoders.parallel import all_cores


@pytest.fixture
def threads():
    """Sets the number of torch's threads, and sets it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_every_thread_has_torch_on_one_core_and_results_keep_their_order(threads):
    threads(3)
    barrier = threading.Barrier(3, timeout=30)

    def work(item):
        barrier.wait()
        return item, torch.get_num_threads(), threading.get_ident()

    with all_cores() as pool:
        results = list(pool.map(work, range(6)))
    assert [item for item, _, _ in results] == list(range(6))
    assert {count for _, count, _ in results} == {1}
    assert len({thread for _, _, thread in results}) == 3
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_drops_what_has_not_begun_and_leaves_the_settings(threads, error):
    threads(2)
    begun = []
    release = threading.Event()

    def work(item):
        begun.append(item)
        release.wait(30)

    def interrupted():
        with all_cores(bfloat16_products=True) as pool:
            for item in range(50):
                pool.submit(work, item)
            threading.Timer(0.2, release.set).start()
            raise error("stop")

    with pytest.raises(error, match="stop"):
        interrupted()
    assert len(begun) < 50
    assert torch.get_num_threads() == 2
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"
    with all_cores() as pool:
        assert list(pool.map(abs, [-1])) == [1]


def test_a_batchs_error_is_raised_as_it_is(tmp_path, monkeypatch):
    encoder = load_bert_encoder(write_tiny_bert(tmp_path), name="tiny")

    def fail(batch):
        raise RuntimeError("no room")

    monkeypatch.setattr(encoder, "_forward", fail)
    with pytest.raises(RuntimeError, match="no room"):
        encoder.encode(["one", "two"])


def test_a_texts_vector_is_the_same_to_the_bit_whatever_the_number_of_threads(tmp_path, threads):
    encoder = load_bert_encoder(write_tiny_bert(tmp_path), name="tiny")
    texts = ["Na is bonded to six Cl atoms. " * n for n in (1, 40, 3, 30, 60, 2, 25, 50)]
    vectors = []
    for n in (1, 2, 3):
        threads(n)
        vectors.append([result.vector for result in encoder.encode(texts)])
    assert np.array_equal(vectors[0], vectors[1])
    assert np.array_equal(vectors[0], vectors[2])


def test_a_structures_vector_is_the_same_whatever_the_number_of_threads(tmp_path, threads):
    write_tiny_alignn(tmp_path)
    encoder = load_alignn_encoder(tmp_path, name="tiny")
    corners = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    crystals = [Crystal(np.eye(3) * (3 + 0.1 * i), ("Cs", "Cl"), corners) for i in range(12)]
    vectors = []
    for n in (1, 2, 5):
        threads(n)
        vectors.append(np.array([result.vector for result in encoder.encode(crystals)]))
    # Structures share a batch with others, and a product's rounding may depend on its rows.
    assert np.abs(vectors[0] - vectors[1]).max() <= 2e-5
    assert np.abs(vectors[0] - vectors[2]).max() <= 2e-5


@pytest.mark.parametrize("n_threads", [1, 2, 16])
def test_groups_hold_every_structure_once_and_suit_the_threads(n_threads):
    sizes = [1 + (7 * i) % 40 for i in range(256)]
    groups = _groups(sizes, n_threads)
    assert sorted(index for group in groups for index in group) == list(range(256))
    assert len(groups) % n_threads == 0
    atoms = [sum(sizes[index] for index in group) for group in groups]
    assert max(atoms) <= 256 + 40
    assert max(atoms) - min(atoms) <= 2 * 40
    assert _groups([], n_threads) == []
    assert len(_groups([0, 0], n_threads)) == 2


def test_padded_rows_are_few_different_numbers():
    assert [padded(n) for n in (1, 64, 65, 512, 513, 3100)] == [64, 64, 128, 512, 768, 3328]
    assert len({padded(n) for n in range(1, 5000)}) < 30
