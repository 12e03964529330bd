"""The plan of the whole table: every command in it is one, and the control is another's text."""

from __future__ import annotations

import shlex
import shutil

import click
import numpy as np
import pytest
from click.testing import CliRunner
from synthetic_store import PROPERTY
from tiers import few

from benchmarks.schooled_structures import schooled
from benchmarks.shuffled_texts import shuffled
from benchmarks.text_learning import PRESETS, main
from featurestore.catalogue import find_encoder
from featurestore.cli.root import root
from featurestore.store import FeatureStore
from featurestore.vectors import Vectors


@pytest.mark.parametrize("preset", few(PRESETS, 1))
def test_every_planned_command_parses(preset, tmp_path):
    planned = CliRunner().invoke(main, ["--preset", preset, "--plan", "--work", str(tmp_path)])
    assert planned.exit_code == 0, planned.output
    commands = [shlex.split(line)[1:] for line in planned.stdout.splitlines()]
    names = {" ".join(words[:2]) for words in commands}
    assert {"train text-source", "train language-model", "train align", "train benchmark"} < names
    for words in commands:
        command, context = root, click.Context(root)
        while isinstance(command, click.Group):
            command = command.get_command(context, words.pop(0))
        command.make_context("x", words)


def test_the_shuffled_control_gives_every_text_another_vector(told_original, tmp_path):
    shutil.copytree(told_original, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    control = shuffled(store, "tiny")
    assert shuffled(store, "tiny") == control
    with store.session() as session:
        vectors = [
            Vectors.of(session, find_encoder(session, name, "text"))
            for name in ("tiny", "shuffled")
        ]
        ids = sorted(vectors[0].ids.to_pylist())
        ours, theirs = (one.read(ids) for one in vectors)
    assert not (ours == theirs).all(axis=1).any()
    np.testing.assert_array_equal(np.sort(ours, axis=0), np.sort(theirs, axis=0))


def test_the_schooled_control_learns_from_structures_what_a_text_model_would(
    told_original, tmp_path
):
    shutil.copytree(told_original, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    control, history = schooled(store, "told", [PROPERTY], "robocrystallographer", epochs=15)
    assert min(one.val_mae for one in history) < 0.8
    with store.session() as session:
        encoder = find_encoder(session, "schooled", "structure")
        vectors = Vectors.of(session, encoder)
        taught = vectors.read(sorted(vectors.ids.to_pylist()))
    assert encoder.encoder_id == control and taught.shape[1] == 192
    assert schooled(store, "told", [PROPERTY], "robocrystallographer", epochs=15) == (
        control,
        history,
    )
