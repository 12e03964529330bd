"""Published ALIGNN-FF weights give the outputs that alignn 2023.7.1 with DGL gave."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from alignn_crystals import crystal
from library_graph import expanded_edges, line_graph_edges

from ingest.encoders.alignn.checkpoint import read_checkpoint
from ingest.encoders.alignn.encoder import load_alignn_encoder
from ingest.encoders.alignn.graph import build_graph
from ingest.weights.cache import find_weights


@pytest.fixture(scope="module")
def alignn_ff() -> Path:
    """Folder of the published weights."""
    named = os.environ.get("FEATURESTORE_ALIGNN_FF")
    folder = Path(named) if named else find_weights("alignn-ff")
    if folder is None:
        pytest.skip("no ALIGNN-FF weights: run `featurestore models pull alignn-ff`")
    return folder


@pytest.mark.weights
@pytest.mark.shared
def test_energies_embeddings_and_counts_are_the_references(alignn_ff, shared_folder):
    path = shared_folder / "reference" / "alignn_ff_reference_outputs.json"
    reference = json.loads(path.read_text())["alignnff_wt01"]
    encoder = load_alignn_encoder(alignn_ff, name="alignn-ff")
    checkpoint = read_checkpoint(alignn_ff)
    weight = checkpoint.state["fc.weight"].numpy()[0]
    bias = checkpoint.state["fc.bias"].numpy()[0]
    assert len(reference) >= 5
    for expected in reference.values():
        atoms = expected["atoms"]
        one = crystal(atoms["lattice_mat"], atoms["elements"], atoms["coords"])
        source, target, _ = expanded_edges(build_graph(one, checkpoint.graph))
        angles = line_graph_edges(source, target, keep_self_pairs=False)
        assert (one.n_atoms, len(source), len(angles)) == (
            expected["n_nodes"],
            expected["n_edges"],
            expected["n_triplets"],
        )
        atom_features = encoder.encode([one])[0].vector[:256]
        assert np.abs(atom_features - expected["embedding"]).max() <= 2e-5
        assert atom_features @ weight + bias == pytest.approx(expected["energy_per_atom"], abs=1e-5)
