"""CHGNet as an encoder: what its segments are, what it does not know, what it says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featurestore.catalogue import Encoder
from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.testing.crystals import made_up_crystals
from ingest.encoders.base import StructureEncoder
from ingest.encoders.load import load_encoder, load_like
from ingest.structures.convert import to_pymatgen

pytest.importorskip("chgnet")

SALT = made_up_crystals()[0]


@pytest.fixture(scope="module")
def encoder() -> StructureEncoder:
    return load_encoder("chgnet")


def test_the_segments_are_the_librarys_features(encoder: StructureEncoder) -> None:
    from chgnet.model.model import CHGNet

    for crystal, result in zip(made_up_crystals(), encoder.encode(made_up_crystals()), strict=True):
        expected = CHGNet.load(use_device="cpu", verbose=False).predict_structure(
            to_pymatgen(crystal), task="e", return_atom_feas=True, return_crystal_feas=True
        )
        crystal_part, site_part = np.split(result.vector, 2)
        np.testing.assert_allclose(
            crystal_part, expected["crystal_fea"] / crystal.n_atoms, rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            site_part, expected["atom_fea"].mean(axis=0), rtol=1e-4, atol=1e-4
        )
    assert [(one.name, one.start, one.stop) for one in encoder.spec.segments] == [
        ("crystal", 0, 64),
        ("site", 64, 128),
    ]


def test_a_larger_cell_of_the_same_crystal_has_the_same_vector(encoder: StructureEncoder) -> None:
    doubled = Crystal(
        SALT.lattice * np.array([[2], [1], [1]]),
        SALT.species * 2,
        np.concatenate(
            [SALT.frac_coords * [0.5, 1, 1], SALT.frac_coords * [0.5, 1, 1] + [0.5, 0, 0]]
        ),
    )
    one, two = (result.vector for result in encoder.encode([SALT, doubled]))
    assert np.abs(one - two).max() < 1e-4


def test_what_it_does_not_know_is_named(encoder: StructureEncoder) -> None:
    americium = Crystal(SALT.lattice, ("Na", "Am"), SALT.frac_coords)
    alone = Crystal(np.eye(3) * 12, ("Xe",), np.zeros((1, 3)))
    first, unknown, isolated, last = encoder.encode([SALT, americium, alone, SALT])
    assert isinstance(unknown, Failure) and "the element Am" in unknown.message
    assert isinstance(isolated, Failure) and "isolated atom" in isolated.message
    assert np.abs(first.vector - last.vector).max() < 1e-5


def test_a_structure_that_is_too_large_or_that_the_library_fails_on_is_one_failure(
    encoder: StructureEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chgnet.graph.graph import Graph

    import ingest.encoders.chgnet.encoder as module

    small, large = made_up_crystals()[3], made_up_crystals()[4]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_MAX_SIZE", 500)
        first, refused = encoder.encode([small, large])
    assert not isinstance(first, Failure)
    assert isinstance(refused, Failure) and "the encoder takes 500" in refused.message

    def fail(*_: object, **__: object) -> None:
        raise IndexError("no such edge")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Graph, "line_graph_adjacency_list", fail)
    (failed,) = encoder.encode([small])
    assert isinstance(failed, Failure) and "Failed creating bond graph" in failed.message
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_it_was_trained_on_and_can_be_made_again(encoder: StructureEncoder) -> None:
    other = load_encoder("chgnet", model="r2scan")
    assert other.spec.encoder_id != encoder.spec.encoder_id
    assert "r2SCAN" in other.spec.fingerprint["trained_on"]
    for one in (encoder, other):
        assert one.spec.fingerprint["trained_on"].startswith("MPtrj: energies, forces, stresses")
        spec = one.spec
        stored = Encoder(
            encoder_id=spec.encoder_id,
            name=spec.name,
            kind=spec.kind,
            dimension=spec.dimension,
            segments=tuple((part.name, part.start, part.stop) for part in spec.segments),
            fingerprint=dict(spec.fingerprint),
        )
        assert load_like(stored).spec.encoder_id == spec.encoder_id
    changed = {**stored.fingerprint, "versions": {"chgnet": "0.0.1"}}
    object.__setattr__(stored, "fingerprint", changed)
    with pytest.raises(InvalidInputError, match="They differ in versions"):
        load_like(stored)


def test_a_gpu_that_is_not_there() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InvalidInputError, match="sees no CUDA GPU"):
        load_encoder("chgnet", device="cuda")
