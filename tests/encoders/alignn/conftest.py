"""Real crystals, and checkpoints in the published formats, for the ALIGNN tests."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from alignn_crystals import crystal
from tiny_alignn import write_tiny_alignn


@pytest.fixture(scope="session")
def real_crystals(shared_folder):
    """300 random JARVIS-DFT structures (seed 0)."""
    with zipfile.ZipFile(shared_folder / "data" / "jdft_3d_subset.json.zip") as archive:
        entries = json.loads(archive.read(archive.namelist()[0]))
    chosen = np.random.default_rng(0).choice(len(entries), 300, replace=False)
    atoms = [entries[i]["atoms"] for i in chosen]
    assert not any(a["cartesian"] for a in atoms)
    return [crystal(a["lattice_mat"], a["elements"], a["coords"]) for a in atoms]


@pytest.fixture(scope="session")
def property_model(tmp_path_factory):
    """A folder with a tiny BatchNorm model, as the property models are published."""
    folder = tmp_path_factory.mktemp("property_model")
    write_tiny_alignn(folder, norm="batchnorm")
    return folder


@pytest.fixture(scope="session")
def force_field(tmp_path_factory):
    """A folder with a tiny LayerNorm model, as ALIGNN-FF is published."""
    folder = tmp_path_factory.mktemp("force_field")
    write_tiny_alignn(folder, norm="layernorm")
    return folder
