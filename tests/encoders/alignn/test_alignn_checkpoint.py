"""Every kind of checkpoint loads, strictly, and what does not fit is named."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file
from tiny_alignn import write_tiny_alignn

from featurestore.errors import InvalidInputError
from ingest.encoders.alignn.checkpoint import read_checkpoint


@pytest.fixture
def folder(force_field, tmp_path):
    """A copy of the force field's folder, to be spoilt."""
    return shutil.copytree(force_field, tmp_path / "model")


def change_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def change_weights(folder, change):
    path = folder / "best_model.pt"
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


def test_a_property_model_is_read_with_its_training_state(property_model):
    checkpoint = read_checkpoint(property_model)
    assert checkpoint.kind == "alignn"
    assert checkpoint.architecture.norm == "batchnorm"
    assert checkpoint.graph.use_canonize
    assert not checkpoint.model().training


def test_a_force_field_is_read(force_field):
    checkpoint = read_checkpoint(force_field)
    assert checkpoint.kind == "alignn_atomwise"
    assert checkpoint.architecture.norm == "layernorm"
    assert not checkpoint.graph.use_canonize
    checkpoint.model()


def test_a_model_of_todays_alignn_is_read(tmp_path):
    """`ALIGNNAtomWisePure` saves a table of species beside its weights."""
    from alignn.models.alignn_atomwise_pure import ALIGNNAtomWisePure, ALIGNNAtomWisePureConfig

    config = ALIGNNAtomWisePureConfig(
        name="alignn_atomwise_pure", atom_input_features=92, hidden_features=16, alignn_layers=1
    )
    model = ALIGNNAtomWisePure(config)
    torch.save({"model": model.state_dict()}, tmp_path / "best_model.pt")
    model_config = json.loads(config.model_dump_json())
    (tmp_path / "config.json").write_text(json.dumps({"model": model_config}))
    checkpoint = read_checkpoint(tmp_path)
    assert "_species_table" in checkpoint.state
    assert checkpoint.architecture.layers == ("embedding", "alignn_1", "gcn_1", "gcn_2")
    checkpoint.model()


def test_settings_a_config_does_not_mention_are_the_papers(folder):
    def forget(config):
        for key in ("cutoff", "max_neighbors", "use_canonize", "neighbor_strategy"):
            del config[key]

    change_config(folder, forget)
    graph = read_checkpoint(folder).graph
    assert (graph.cutoff, graph.max_neighbors, graph.use_canonize) == (8.0, 12, True)


def test_the_folder_a_published_zip_unpacks_to_is_found(force_field, tmp_path):
    shutil.copytree(force_field, tmp_path / "zip" / "mp_e_form_alignn")
    assert read_checkpoint(tmp_path / "zip").weights_path.name == "best_model.pt"


def test_the_checkpoint_of_the_highest_number_is_taken(property_model, tmp_path):
    shutil.copytree(property_model, tmp_path, dirs_exist_ok=True)
    shutil.copy(tmp_path / "checkpoint_300.pt", tmp_path / "checkpoint_50.pt")
    assert read_checkpoint(tmp_path).weights_path.name == "checkpoint_300.pt"


def test_safetensors_hold_the_same_model(folder):
    state = torch.load(folder / "best_model.pt", weights_only=True)
    save_file(state, folder / "model.safetensors")
    checkpoint = read_checkpoint(folder)
    assert checkpoint.weights_path.name == "model.safetensors"
    for key, value in checkpoint.model().state_dict().items():
        assert torch.equal(value, state[key])


def test_keys_that_do_not_fit_are_named_with_the_file(folder):
    def spoil(state):
        state["gcn_layers.0.attention.weight"] = torch.zeros(2)
        del state["gcn_layers.1.src_gate.bias"]
        state["alignn_layers.0.node_update.bn_nodes.weight"] = torch.ones(3)

    change_weights(folder, spoil)
    with pytest.raises(InvalidInputError) as caught:
        read_checkpoint(folder).model()
    message = str(caught.value)
    assert "best_model.pt" in message
    assert "unknown gcn_layers.0.attention.weight" in message
    assert "missing gcn_layers.1.src_gate.bias" in message
    assert "alignn_layers.0.node_update.bn_nodes.weight (3,) not (16,)" in message


def test_a_batchnorm_checkpoint_is_not_loaded_as_layernorm(property_model, tmp_path):
    """Trap: without strictness such a model loads and predicts nonsense."""
    shutil.copytree(property_model, tmp_path, dirs_exist_ok=True)
    change_config(tmp_path, lambda config: config["model"].update(name="alignn_atomwise"))
    with pytest.raises(InvalidInputError, match=r"running_mean.*and .* more"):
        read_checkpoint(tmp_path).model()


def test_a_weight_that_is_not_finite_is_named(folder):
    change_weights(folder, lambda state: state["gcn_layers.0.src_gate.bias"].fill_(torch.nan))
    with pytest.raises(InvalidInputError, match=r"gcn_layers\.0\.src_gate\.bias is not finite"):
        read_checkpoint(folder).model()


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_weights_are_refused(folder, damage):
    path = folder / "best_model.pt"
    content = path.read_bytes()
    path.write_bytes(
        {"truncated": content[: len(content) // 2], "text": b"<html>404</html>", "empty": b""}[
            damage
        ]
    )
    with pytest.raises(InvalidInputError, match=r"best_model\.pt: cannot be read as weights"):
        read_checkpoint(folder)


class _Payload:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_weights_are_never_run(folder, tmp_path):
    mark = tmp_path / "mark"
    torch.save({"model": _Payload(f"touch {mark}")}, folder / "best_model.pt")
    with pytest.raises(InvalidInputError, match="cannot be read as weights"):
        read_checkpoint(folder)
    assert not mark.exists()


def test_a_file_without_weights_is_refused(folder):
    torch.save({"epoch": 3}, folder / "best_model.pt")
    with pytest.raises(InvalidInputError, match="no table of weights"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"].update(name="alignn_layernorm"), "model 'alignn_layernorm'"),
        (lambda c: c["model"].update(conv_type="t_alignn"), "convolution 't_alignn'"),
        (lambda c: c["model"].pop("hidden_features"), "lacks 'hidden_features'"),
        (lambda c: c["model"].update(hidden_features="wide"), "bad value"),
        (lambda c: c["model"].update(alignn_layers=0), "no ALIGNN layers"),
        (lambda c: c.pop("model"), "not an ALIGNN config"),
        # Trap: this strategy of alignn's draws a radius graph.
        (lambda c: c.update(neighbor_strategy="pure_torch"), "neighbor_strategy 'pure_torch'"),
    ],
)
def test_a_config_that_cannot_be_used_is_named(folder, change, message):
    change_config(folder, change)
    with pytest.raises(InvalidInputError, match=message):
        read_checkpoint(folder)


def test_missing_files_are_named(folder, tmp_path):
    with pytest.raises(InvalidInputError, match="no such folder"):
        read_checkpoint(tmp_path / "nowhere")
    (folder / "best_model.pt").unlink()
    with pytest.raises(InvalidInputError, match="holds no weights"):
        read_checkpoint(folder)
    (folder / "config.json").write_text("{")
    write_tiny_alignn(folder / "other")
    (folder / "config.json").unlink()
    write_tiny_alignn(folder / "another")
    with pytest.raises(InvalidInputError, match=r"2 files named config\.json"):
        read_checkpoint(folder)


def test_a_config_that_is_not_json_is_named(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"config\.json is not JSON"):
        read_checkpoint(folder)
