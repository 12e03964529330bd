"""Training ALIGNN: the encoder's features, gradients in parts, resumption, a usable folder."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from here import cluster_here

from featurestore.cli.root import root
from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.failure import Failure
from featurestore.store import FeatureStore
from featurestore.views.request import GRAPH, ViewRequest
from ingest.encoders.alignn.checkpoint import read_checkpoint
from ingest.encoders.load import load_encoder
from ingest.sample import sample_archive
from ingest.structures.jarvis import read_jarvis
from ingest.weights.cache import find_weights
from train.benchmark.grid import Grid
from train.benchmark.run import run_benchmark
from train.predictors.errors import TrainingError
from train.predictors.graph import trainer as trainer_module
from train.predictors.graph.examples import (
    GraphExample,
    collated,
    graph_example,
    graph_examples,
    parts,
    shuffled,
)
from train.predictors.graph.network import AlignnRegressor
from train.predictors.graph.scratch import Alignn
from train.predictors.graph.source import source_rows
from train.predictors.graph.trainer import GraphRows, GraphTrainer, GraphTraining, predict
from train.predictors.loading import load_model
from train.training import train_model

SMALL = GraphTraining(
    alignn_layers=1, gcn_layers=1, hidden_features=8, epochs=4, batch_size=6, learning_rate=5e-3
)


class Silent:
    def update(self, done: int = 1) -> None:
        pass


@pytest.fixture(scope="module")
def rows() -> GraphRows:
    """Twenty-four small cells of the sample, and their formation energies."""
    examples, targets = [], []
    for record in read_jarvis(sample_archive()):
        value = record.targets.get("formation_energy_peratom")
        if isinstance(value, float) and record.structure.n_atoms <= 9 and len(targets) < 24:
            examples.append(graph_example(record.structure, SMALL.graph))
            targets.append(value)
    assert len(targets) == 24
    return GraphRows(examples, np.array(targets))


def split(rows: GraphRows, n: int = 18) -> tuple[GraphRows, GraphRows]:
    first = GraphRows(rows.examples[:n], rows.targets[:n])
    return first, GraphRows(rows.examples[n:], rows.targets[n:])


def weights(network: AlignnRegressor) -> dict[str, torch.Tensor]:
    return network.checkpoint_state()


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_atoms_have_the_encoders_features(rows):
    network = AlignnRegressor(SMALL.architecture, seed=3).eval()
    batch = collated(rows.examples, "cpu")
    ours = batch.pool_atoms.float() @ network.atom_features(batch)
    with torch.inference_mode():
        theirs = network.encoder.pooled_features(batch, "gcn_1")[:, : SMALL.hidden_features]
    np.testing.assert_allclose(ours.detach(), theirs, atol=2e-6)


@pytest.mark.shared
@pytest.mark.weights
def test_energies_of_the_published_force_field(shared_folder):
    folder = find_weights("alignn-ff")
    if folder is None:
        pytest.skip("alignn-ff is not in the weights cache")
    checkpoint = read_checkpoint(folder)
    network = AlignnRegressor(checkpoint.architecture)
    network.load_checkpoint_state(
        {k: v for k, v in checkpoint.state.items() if k in network.checkpoint_state()}
    )
    reference = json.loads(
        (shared_folder / "reference/alignn_ff_reference_outputs.json").read_text()
    )
    examples, energies = [], []
    for entry in reference["alignnff_wt01"].values():
        atoms = entry["atoms"]
        assert not atoms["cartesian"]
        crystal = Crystal(
            np.array(atoms["lattice_mat"]), tuple(atoms["elements"]), np.array(atoms["coords"])
        )
        examples.append(graph_example(crystal, checkpoint.graph))
        energies.append(entry["energy_per_atom"])
    predicted = network(collated(examples, "cpu")).detach().numpy()
    np.testing.assert_allclose(predicted, energies, atol=2e-5)


def test_a_step_in_parts_is_the_step_of_the_whole_batch(rows, monkeypatch):
    one_epoch = GraphTraining(**{**vars(SMALL), "epochs": 1, "batch_size": 24})
    whole = GraphTrainer(one_epoch, rows, rows, seed=1).fit(Silent())
    monkeypatch.setattr("train.predictors.graph.examples._ANGLES_A_PART", 500)
    cut = list(parts(range(24), rows.examples))
    assert len(cut) > 4 and [row for part in cut for row in part] == list(range(24))
    in_parts = GraphTrainer(one_epoch, rows, rows, seed=1).fit(Silent())
    for name, value in weights(whole).items():
        np.testing.assert_allclose(weights(in_parts)[name], value, atol=2e-4, err_msg=name)


def test_it_learns_and_repeats_to_the_last_bit(rows, two_threads):
    train, val = split(rows)
    settings = GraphTraining(**{**vars(SMALL), "epochs": 12})
    first = GraphTrainer(settings, train, val, seed=1)
    network = first.fit(Silent())
    assert first.history[-1].train_mae < 0.6 * first.history[0].train_mae
    again = GraphTrainer(settings, train, val, seed=1).fit(Silent())
    assert_equal(weights(network), weights(again))
    errors = np.abs(predict(network, val.examples, settings) - val.targets)
    best = first.history[first.best_epoch - 1]
    assert best.val_mae == min(epoch.val_mae for epoch in first.history)
    assert errors.mean() == pytest.approx(best.val_mae, abs=1e-5)


def test_an_interrupted_training_ends_with_the_same_weights(rows, tmp_path):
    train, val = split(rows)
    undisturbed = GraphTrainer(SMALL, train, val, seed=1).fit(Silent())

    class Interrupt(Silent):
        def __init__(self) -> None:
            self.epochs = 0

        def update(self, done: int = 1) -> None:
            self.epochs += done
            if self.epochs == 2:
                raise KeyboardInterrupt

    path = tmp_path / "resume.pt"
    with pytest.raises(KeyboardInterrupt):
        GraphTrainer(SMALL, train, val, seed=1, checkpoint=path).fit(Interrupt())
    resumed = GraphTrainer(SMALL, train, val, seed=1, checkpoint=path)
    assert len(resumed.history) == 2
    assert_equal(weights(resumed.fit(Silent())), weights(undisturbed))


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(rows, tmp_path):
    train, val = split(rows)
    path = tmp_path / "resume.pt"
    short = GraphTraining(**{**vars(SMALL), "epochs": 1})
    GraphTrainer(short, train, val, seed=1, checkpoint=path).fit(Silent())
    with pytest.raises(InvalidInputError, match=r"resume.pt: is of a training with other settings"):
        GraphTrainer(short, train, val, seed=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InvalidInputError, match=r"resume.pt: cannot be read.*delete it"):
        GraphTrainer(short, train, val, seed=1, checkpoint=path)


def test_a_diverging_training_says_so(rows, monkeypatch):
    train, val = split(rows)
    wild = GraphTraining(**{**vars(SMALL), "learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"diverged in epoch \d.*lower learning rate"):
        GraphTrainer(wild, train, val, seed=1).fit(Silent())


def test_constant_targets_are_learned_as_a_constant(rows):
    train = GraphRows(rows.examples, np.full(24, -1.5))
    network = GraphTrainer(SMALL, train, train, seed=1).fit(Silent())
    assert np.abs(predict(network, rows.examples, SMALL) + 1.5).max() < 1.0


def test_a_structure_without_a_graph_is_a_failure():
    unknown = Crystal(4 * np.eye(3), ("Lr",), np.zeros((1, 3)))
    made = graph_example(unknown, SMALL.graph)
    assert isinstance(made, Failure) and "'Lr'" in made.message


def test_each_epoch_has_its_own_order():
    assert sorted(shuffled(50, 0, 1)) == list(range(50))
    assert shuffled(50, 0, 1) == shuffled(50, 0, 1) != shuffled(50, 0, 2)
    assert shuffled(50, 0, 1) != shuffled(50, 1, 1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("source") / "store")
    assert invoke("ingest", "sample", "--store", uri).exit_code == 0
    return uri


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(root, arguments)


def source(store: str, folder: Path, *options: str) -> Any:
    small = ["--epochs", "2", "--hidden-features", "8", "--alignn-layers", "1", "--gcn-layers", "1"]
    given = ["--property", "formation_energy_peratom", "--limit", "24", "-o", str(folder), *small]
    return invoke("train", "source", "--store", store, *given, *options)


def test_a_cluster_makes_the_same_graphs():
    some = islice(read_jarvis(sample_archive()), 3)
    named = [(record.material_id, record.structure) for record in some]
    here = dict(graph_examples(named, SMALL.graph))
    with cluster_here():
        there = dict(graph_examples(named, SMALL.graph))
    assert list(here) == list(there)
    for name, example in here.items():
        np.testing.assert_array_equal(example.atoms, there[name].atoms)
        for ours, theirs in zip(
            vars(example.graph).values(), vars(there[name].graph).values(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_one_of_several_sources_of_the_targets_is_chosen(store, tmp_path):
    opened = FeatureStore.open(store)
    ids = opened.sql("SELECT material_id FROM materials ORDER BY n_atoms LIMIT 24")
    row = {"property": "made_up", "unit": "eV", "run_id": "none"}
    values = {"one": 1.0, "another": 2.0}
    opened.merge_rows(
        "properties",
        [
            row | {"material_id": material_id, "source": name, "value": value}
            for material_id in ids["material_id"].to_pylist()
            for name, value in values.items()
        ],
    )
    for name, value in values.items():
        rows = source_rows(opened, "made_up", SMALL, property_source=name)
        assert set(rows.rows["train"].targets.tolist()) == {value}
    refused = source(store, tmp_path / "none", "--property", "made_up")
    assert "choose one with --property-source" in str(refused.exception)
    refused = source(store, tmp_path / "none", "--property", "made_up", "--property-source", "x")
    assert "'another' (eV), 'one' (eV)" in str(refused.exception)


def test_a_source_model_is_an_encoder(store, tmp_path):
    folder = tmp_path / "my-source"
    done = source(store, folder)
    assert done.exit_code == 0, done.output
    assert "22 train, 1 val, 1 test" in done.output and "val MAE" in done.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "materials.csv",
        "model.safetensors",
    ]
    folds = [line.split(",")[1] for line in (folder / "materials.csv").read_text().split()[1:]]
    assert sorted(folds) == ["test", *["train"] * 22, "val"]

    encoder = load_encoder(str(folder))
    assert encoder.spec.name == "my-source" and encoder.spec.dimension == 24
    with FeatureStore.open(store).session() as session:
        from featurestore.stored_structures import stored_crystals

        ids = session.query("SELECT structure_id FROM materials ORDER BY n_atoms LIMIT 3")
        crystals = [c for _, c in stored_crystals(session, ids["structure_id"].to_pylist())]
    checkpoint = read_checkpoint(folder)
    network = AlignnRegressor(checkpoint.architecture)
    network.load_checkpoint_state(dict(checkpoint.state))
    examples = [graph_example(crystal, checkpoint.graph) for crystal in crystals]
    assert all(isinstance(example, GraphExample) for example in examples)
    batch = collated(examples, "cpu")
    expected = (batch.pool_atoms.float() @ network.atom_features(batch)).detach().numpy()
    found = np.stack([result.vector[:8] for result in encoder.encode(crystals)])
    np.testing.assert_allclose(found, expected, atol=2e-6)

    again = source(store, folder)
    assert again.exit_code == 1 and "holds a finished model" in str(again.exception)


def test_too_few_structures(store, tmp_path):
    done = invoke(
        *["train", "source", "--store", store, "--property", "slme", "-o", str(tmp_path / "s")]
    )
    assert isinstance(done.exception, MissingDataError)
    assert "7 structures have a target for 'slme'" in str(done.exception)


def test_only_the_architecture_with_layernorm_is_trained():
    architecture = trainer_module.GraphTraining().architecture
    assert architecture.norm == "layernorm"
    with pytest.raises(ValueError, match="LayerNorm"):
        AlignnRegressor(type(architecture)(**{**vars(architecture), "norm": "batchnorm"}))


def test_alignn_from_scratch_is_a_model_like_any_other(store):
    random = ["--random", "60/20/20", "--property", "formation_energy_peratom", "--name", "r"]
    assert invoke("ingest", "splits", *random, "--store", store).exit_code == 0
    small = ["--epochs", "1", "--hidden-features", "8", "--alignn-layers", "1", "--gcn-layers", "1"]
    command = ["train", "scratch", "--property", "formation_energy_peratom", "--split", "r", *small]
    first = invoke(*command, "--store", store)
    assert first.exit_code == 0, first.output
    again = invoke(*command, "--store", store)
    assert "already trained; nothing was done" in again.output

    opened = FeatureStore.open(store)
    model = load_model(opened, "formation_energy_peratom_graph")
    view = opened.view(ViewRequest("formation_energy_peratom", GRAPH, split="r"))
    assert view.features.shape == (50, 0) and view.table.num_rows == 50
    stored = opened.sql(
        "SELECT prediction FROM predictions WHERE model_id = ? ORDER BY material_id",
        [model.model_id],
    )
    predicted = model.predict(model.inputs(opened, view))
    np.testing.assert_allclose(predicted, stored["prediction"].to_numpy(), atol=1e-6)
    with pytest.raises(InvalidInputError, match="takes 0 features, these rows have 3"):
        model.predict(np.zeros((2, 3), dtype=np.float32))
    listed = invoke("train", "list", "--store", store).output
    assert "graph" in listed and "alignn" in listed


@pytest.mark.slow
def test_alignn_in_a_benchmark_beside_a_constant(store):
    random = ["--random", "60/20/20", "--property", "formation_energy_peratom", "--name", "r"]
    assert invoke("ingest", "splits", *random, "--store", store).exit_code == 0
    small = {"epochs": 1, "hidden_features": 8, "alignn_layers": 1, "gcn_layers": 1}
    grid = Grid(
        ("formation_energy_peratom",),
        "r",
        (),
        (),
        (),
        (),
        ("alignn", "median"),
        (0,),
        {"alignn": small},
    )
    opened = FeatureStore.open(store)
    found = run_benchmark(opened, grid, jobs=1)
    assert not found.failures
    assert [(row.cell.predictor, row.features) for row in found.rows] == [
        ("median", "none"),
        ("alignn", "graph"),
    ]
    by_hand = train_model(
        opened,
        opened.view(ViewRequest("formation_energy_peratom", GRAPH, split="r")),
        Alignn(**small),
        0,
    )
    assert not by_hand.trained and by_hand.model.model_id == found.rows[1].models[0].model_id
    assert run_benchmark(opened, grid, jobs=1).trained == 0
