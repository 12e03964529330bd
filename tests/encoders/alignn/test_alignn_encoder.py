"""Vectors are the original model's, whatever the batch, the backend or the machine's load."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from alignn_crystals import CRYSTALS, crystal, cubic, shaken_rock_salt
from library_graph import expanded_edges, line_graph_edges
from tiny_alignn import write_tiny_alignn

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from ingest.encoders.alignn.atoms import element_features
from ingest.encoders.alignn.checkpoint import read_checkpoint
from ingest.encoders.alignn.dgl_backend import import_dgl
from ingest.encoders.alignn.encoder import load_alignn_encoder
from ingest.encoders.alignn.graph import build_graph
from ingest.encoders.parallel import has_bfloat16_products

TOLERANCE = 2e-5
LAYERS = ("embedding", "alignn_1", "alignn_2", "gcn_1", "gcn_2")


@pytest.fixture
def dgl():
    """DGL, on one thread: with more it waits for a busy machine at every small operation."""
    threads = torch.get_num_threads()
    try:
        module = import_dgl()
    except InvalidInputError as error:
        pytest.skip(str(error))
    torch.set_num_threads(1)
    yield module
    torch.set_num_threads(threads)


def vectors(encoder, crystals):
    results = encoder.encode(crystals)
    assert not [result for result in results if isinstance(result, Failure)]
    return np.stack([result.vector for result in results])


def assert_close(ours, theirs):
    assert ours.shape == theirs.shape
    for ours_part, theirs_part in zip(
        np.split(ours, 3, axis=1), np.split(theirs, 3, axis=1), strict=True
    ):
        assert np.abs(theirs_part).max() > 0.1
        assert np.abs(ours_part - theirs_part).max() <= TOLERANCE


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("norm", ["batchnorm", "layernorm"])
def test_segments_equal_the_original_dgl_models(dgl, property_model, force_field, norm, layer):
    folder = property_model if norm == "batchnorm" else force_field
    ours = load_alignn_encoder(folder, name="tiny", layer=layer)
    original = load_alignn_encoder(folder, name="tiny", layer=layer, backend="dgl")
    crystals = list(CRYSTALS.values())
    assert_close(vectors(ours, crystals), vectors(original, crystals))
    assert ours.spec == original.spec


@pytest.mark.shared
@pytest.mark.parametrize("norm", ["batchnorm", "layernorm"])
def test_segments_equal_the_original_dgl_models_on_the_librarys_graphs(
    dgl, property_model, force_field, norm, real_crystals
):
    """The paper's own way for each structure: jarvis atoms, the library's graph, the DGL model."""
    from alignn.graphs import Graph
    from jarvis.core.atoms import Atoms

    from ingest.encoders.alignn.dgl_backend import DglBackend

    folder = property_model if norm == "batchnorm" else force_field
    checkpoint = read_checkpoint(folder)
    backend = DglBackend(checkpoint, "gcn_2")
    chosen = real_crystals[:70]
    expected = []
    for one in chosen:
        atoms = Atoms(lattice_mat=one.lattice, coords=one.frac_coords, elements=list(one.species))
        g, line = Graph.atom_dgl_multigraph(
            atoms, cutoff=8.0, max_neighbors=12, use_canonize=checkpoint.graph.use_canonize
        )
        expected.append(backend.pooled_library_graphs(g, line))
    assert_close(vectors(load_alignn_encoder(folder, name="tiny"), chosen), np.stack(expected))


def pure_model_features(model, one, settings, *, keep_self_pairs):
    """Pooled features by the layers of `ALIGNNAtomWisePure`, on every copy of every edge."""
    from alignn.torch_graph_builder import TorchGraph

    source, target, displacement = expanded_edges(build_graph(one, settings))
    pairs = line_graph_edges(source, target, keep_self_pairs=keep_self_pairs)
    u, v = torch.from_numpy(source), torch.from_numpy(target)
    r = torch.from_numpy(displacement)
    a, b = torch.from_numpy(pairs[:, 0]), torch.from_numpy(pairs[:, 1])
    g = TorchGraph(num_nodes=one.n_atoms, src=u, dst=v)
    line = TorchGraph(num_nodes=len(source), src=a, dst=b)
    cosine = (-(r[a] * r[b]).sum(1) / (r[a].norm(dim=1) * r[b].norm(dim=1))).clamp(-1, 1)
    features = np.stack([element_features(symbol, "cgcnn") for symbol in one.species])
    with torch.no_grad():
        x = model.atom_embedding(torch.from_numpy(features))
        y = model.edge_embedding(r.norm(dim=1))
        z = model.angle_embedding(cosine)
        for layer in model.alignn_layers:
            x, y, z = layer(g, line, x, y, z)
        for layer in model.gcn_layers:
            x, y = layer(g, x, y)
        return torch.cat([x.mean(0), y.mean(0), z.mean(0)]).numpy()


@pytest.fixture(scope="module")
def pure_model(tmp_path_factory):
    """A folder with a model of today's alignn, and that model."""
    from alignn.models.alignn_atomwise_pure import ALIGNNAtomWisePure, ALIGNNAtomWisePureConfig

    folder = tmp_path_factory.mktemp("pure")
    write_tiny_alignn(folder, seed=5, norm="layernorm", kind="alignn_atomwise_pure")
    checkpoint = read_checkpoint(folder)
    model = ALIGNNAtomWisePure(ALIGNNAtomWisePureConfig(**checkpoint.model_config))
    model.load_state_dict({**model.state_dict(), **checkpoint.state})
    return folder, model.eval()


def test_segments_equal_todays_pure_model_on_dgls_line_graph(pure_model):
    folder, model = pure_model
    settings = read_checkpoint(folder).graph
    crystals = list(CRYSTALS.values())
    expected = [pure_model_features(model, c, settings, keep_self_pairs=False) for c in crystals]
    assert_close(vectors(load_alignn_encoder(folder, name="pure"), crystals), np.stack(expected))


def test_keeping_self_pairs_would_change_the_angles(pure_model):
    """Trap: alignn's builder without DGL keeps the pairs that DGL's line graph leaves out."""
    folder, model = pure_model
    one = CRYSTALS["simple cubic polonium"]
    kept = pure_model_features(model, one, read_checkpoint(folder).graph, keep_self_pairs=True)
    ours = vectors(load_alignn_encoder(folder, name="pure"), [one])[0]
    assert np.abs(ours - kept).max() > 100 * TOLERANCE


def test_a_bond_cutoff_function_is_evaluated(tmp_path, pure_model):
    from alignn.models.alignn_atomwise_pure import cutoff_function_based_edges

    write_tiny_alignn(tmp_path, seed=5, norm="layernorm", kind="alignn_atomwise_pure")
    config = json.loads((tmp_path / "config.json").read_text())
    one = CRYSTALS["no symmetry"]
    _, model = pure_model
    for multiply in (True, False):
        config["model"].update(
            use_cutoff_function=True, multiply_cutoff=multiply, inner_cutoff=3.0, exponent=5
        )
        (tmp_path / "config.json").write_text(json.dumps(config))
        lengths = np.linalg.norm(
            expanded_edges(build_graph(one, read_checkpoint(tmp_path).graph))[2], axis=1
        )
        envelope = cutoff_function_based_edges(torch.from_numpy(lengths), 3.0, 5)
        with torch.no_grad():
            expected = (
                (model.edge_embedding(torch.from_numpy(lengths)) * envelope[:, None])
                if multiply
                else model.edge_embedding(envelope)
            ).mean(0)
        encoder = load_alignn_encoder(tmp_path, name="tiny", layer="embedding")
        bond = vectors(encoder, [one])[0][16:32]
        assert np.abs(bond - expected.numpy()).max() <= TOLERANCE


def test_a_vector_does_not_depend_on_its_batch(property_model, monkeypatch):
    encoder = load_alignn_encoder(property_model, name="tiny")
    crystals = list(CRYSTALS.values())
    together = vectors(encoder, crystals)
    backwards = vectors(encoder, crystals[::-1])[::-1]
    alone = np.concatenate([vectors(encoder, [one]) for one in crystals])
    monkeypatch.setattr("ingest.encoders.alignn.encoder._BATCH_ANGLES", 1000)
    monkeypatch.setattr("ingest.encoders.alignn.encoder._GROUP_ATOMS", 5)
    small = vectors(encoder, crystals)
    for other in (backwards, alone, small):
        assert np.abs(together - other).max() <= TOLERANCE


def test_one_bad_structure_does_not_lose_the_others(property_model, monkeypatch):
    encoder = load_alignn_encoder(property_model, name="tiny")
    good = CRYSTALS["perovskite"]
    monkeypatch.setattr("ingest.encoders.alignn.encoder._MAX_ANGLES", 20_000)
    results = encoder.encode(
        [
            good,
            cubic(4.0, ["Lr"], [0, 0, 0]),
            cubic(4.0, ["Xx"], [0, 0, 0]),
            crystal(np.eye(3), [], []),
            shaken_rock_salt(3, seed=2),
            good,
        ]
    )
    assert np.array_equal(results[0].vector, results[5].vector)
    messages = [result.message for result in results[1:5]]
    assert "no vector for element 'Lr'" in messages[0]
    assert "no element 'Xx'" in messages[1]
    assert "no atoms" in messages[2]
    assert "bond angles" in messages[3]
    assert {result.error for result in results[1:5]} == {"InvalidInputError"}


def test_nothing_to_encode_is_no_error(property_model):
    assert load_alignn_encoder(property_model, name="tiny").encode([]) == []


def test_a_cell_of_512_atoms_is_encoded_with_small_ones(property_model):
    large = shaken_rock_salt(4, seed=4)
    assert large.n_atoms == 512
    encoder = load_alignn_encoder(property_model, name="tiny")
    mixed = vectors(encoder, [CRYSTALS["silicon"], large, CRYSTALS["magnesium"]])
    assert np.abs(mixed[0] - vectors(encoder, [CRYSTALS["silicon"]])[0]).max() <= TOLERANCE


def test_the_process_settings_are_left_as_they_were(property_model):
    before = torch.get_num_threads()
    precision = "bfloat16" if has_bfloat16_products() else "float32"
    load_alignn_encoder(property_model, name="tiny", precision=precision).encode(
        [CRYSTALS["silicon"]]
    )
    assert torch.get_num_threads() == before
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"
    assert torch.tensor([1e-40]).mul(1.0).item() > 0


def test_bfloat16_is_near_float32(property_model, force_field):
    if not has_bfloat16_products():
        with pytest.raises(InvalidInputError, match="does not multiply in bfloat16"):
            load_alignn_encoder(property_model, name="tiny", precision="bfloat16")
        pytest.skip("this CPU does not multiply in bfloat16")
    crystals = list(CRYSTALS.values())
    for folder in (property_model, force_field):
        exact = vectors(load_alignn_encoder(folder, name="tiny"), crystals)
        rough = vectors(load_alignn_encoder(folder, name="tiny", precision="bfloat16"), crystals)
        assert not np.array_equal(exact, rough)
        for a, b in zip(np.split(exact, 3, axis=1), np.split(rough, 3, axis=1), strict=True):
            error = np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)
            assert error.max() < 0.02


def test_the_spec_says_what_a_vector_is(property_model):
    spec = load_alignn_encoder(property_model, name="tiny").spec
    assert (spec.kind, spec.dimension) == ("structure", 48)
    assert [(s.name, s.start, s.stop) for s in spec.segments] == [
        ("atom", 0, 16),
        ("bond", 16, 32),
        ("angle", 32, 48),
    ]
    last = load_alignn_encoder(property_model, name="tiny", layer="gcn_2").spec
    assert last.encoder_id == spec.encoder_id


def test_what_changes_a_vector_changes_the_encoder_id(property_model, force_field, tmp_path):
    write_tiny_alignn(tmp_path / "seed", seed=1)
    write_tiny_alignn(tmp_path / "graph", use_canonize=False)
    variants = [
        load_alignn_encoder(property_model, name="tiny"),
        load_alignn_encoder(property_model, name="tiny", layer="alignn_2"),
        load_alignn_encoder(force_field, name="tiny"),
        load_alignn_encoder(tmp_path / "seed", name="tiny"),
        load_alignn_encoder(tmp_path / "graph", name="tiny"),
    ]
    if has_bfloat16_products():
        variants.append(load_alignn_encoder(property_model, name="tiny", precision="bfloat16"))
    assert len({encoder.spec.encoder_id for encoder in variants}) == len(variants)


def test_an_unknown_layer_is_named_with_the_nearest(property_model):
    with pytest.raises(UnknownNameError, match=r"'alignn_3'.*alignn_"):
        load_alignn_encoder(property_model, name="tiny", layer="alignn_3")


def test_the_dgl_backend_is_float32_on_the_cpu_only(property_model):
    with pytest.raises(InvalidInputError, match="float32 on the CPU only"):
        load_alignn_encoder(property_model, name="tiny", backend="dgl", precision="bfloat16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA GPU is here")
def test_a_missing_gpu_is_named(property_model):
    with pytest.raises(InvalidInputError, match="no CUDA GPU"):
        load_alignn_encoder(property_model, name="tiny", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("norm", ["batchnorm", "layernorm"])
def test_cuda_equals_the_cpu(property_model, force_field, norm):
    folder = property_model if norm == "batchnorm" else force_field
    crystals = list(CRYSTALS.values())
    on_cpu = vectors(load_alignn_encoder(folder, name="tiny"), crystals)
    on_gpu = vectors(load_alignn_encoder(folder, name="tiny", device="cuda"), crystals)
    assert_close(on_gpu, on_cpu)
    rough = load_alignn_encoder(folder, name="tiny", device="cuda", precision="bfloat16")
    assert np.abs(vectors(rough, crystals) - on_cpu).max() < 0.2
