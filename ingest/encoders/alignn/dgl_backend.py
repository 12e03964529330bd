"""The original DGL model of the alignn library on the same graphs: the oracle, and a backend."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from featurestore.errors import InvalidInputError
from ingest.encoders.alignn.checkpoint import Checkpoint
from ingest.encoders.alignn.graph import CrystalGraph

FloatArray = npt.NDArray[np.float32]


def import_dgl() -> Any:
    """The DGL module, told to use PyTorch.

    Raises
    ------
    InvalidInputError
        If DGL cannot be imported here.
    """
    # Without this DGL asks, and writes the answer to a file in the home folder.
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        import dgl
    except Exception as error:  # a DGL for another torch fails in many ways
        raise InvalidInputError(
            f"DGL cannot be imported here ({type(error).__name__}: {error}); the torch backend "
            "gives the same vectors without it"
        ) from error
    return dgl


def library_graphs(graph: CrystalGraph, atoms: FloatArray) -> tuple[Any, Any]:
    """The library's multigraph and its line graph, every copy of an edge written out."""
    dgl = import_dgl()
    from alignn.graphs import compute_bond_cosines

    source = torch.from_numpy(np.repeat(graph.source, graph.count))
    target = torch.from_numpy(np.repeat(graph.target, graph.count))
    displacement = np.repeat(graph.displacement, graph.count, axis=0)
    g = dgl.graph((source, target), num_nodes=graph.n_atoms)
    g.ndata["atom_features"] = torch.from_numpy(atoms)
    g.edata["r"] = torch.from_numpy(displacement.astype(np.float32))
    line = g.line_graph(shared=True)
    line.apply_edges(compute_bond_cosines)
    return g, line


class DglBackend:
    """alignn's DGL model, one structure at a time, as the paper's scripts run it."""

    bfloat16_products = False

    def __init__(self, checkpoint: Checkpoint, layer: str) -> None:
        import_dgl()
        checkpoint.model()  # the strict check that names file and keys
        self._model = _original_model(checkpoint)
        self._layer = layer

    def pooled(self, graphs: Sequence[CrystalGraph], atoms: Sequence[FloatArray]) -> FloatArray:
        """Float32, shape (n_graphs, 3 * hidden_features)."""
        return np.stack(
            [
                self.pooled_library_graphs(*library_graphs(graph, features))
                for graph, features in zip(graphs, atoms, strict=True)
            ]
        )

    def pooled_library_graphs(self, g: Any, line: Any) -> FloatArray:
        """Pooled features of one crystal, from graphs as ``alignn.graphs.Graph`` makes them.

        Returns
        -------
        ndarray, shape (3 * hidden_features,), float32
        """
        model = self._model
        with torch.inference_mode():
            z = model.angle_embedding(line.edata["h"])
            x = model.atom_embedding(g.ndata["atom_features"])
            y = model.edge_embedding(torch.norm(g.edata["r"], dim=1))
            if self._layer != "embedding":
                for i, alignn_layer in enumerate(model.alignn_layers, start=1):
                    x, y, z = alignn_layer(g, line, x, y, z)
                    if self._layer == f"alignn_{i}":
                        break
                else:
                    for i, gcn_layer in enumerate(model.gcn_layers, start=1):
                        x, y = gcn_layer(g, x, y)
                        if self._layer == f"gcn_{i}":
                            break
            pooled: FloatArray = torch.cat([x.mean(0), y.mean(0), z.mean(0)]).numpy()
        return pooled


def _original_model(checkpoint: Checkpoint) -> Any:
    if checkpoint.architecture.envelope is not None:
        raise InvalidInputError(
            "the DGL backend does not evaluate a bond cut-off function; use the torch backend"
        )
    if checkpoint.kind == "alignn":
        from alignn.models.alignn import ALIGNN as Model
        from alignn.models.alignn import ALIGNNConfig as Config
    else:
        from alignn.models.alignn_atomwise import ALIGNNAtomWise as Model
        from alignn.models.alignn_atomwise import ALIGNNAtomWiseConfig as Config

    name = "alignn" if checkpoint.kind == "alignn" else "alignn_atomwise"
    known = {
        key: value for key, value in checkpoint.model_config.items() if key in Config.model_fields
    }
    model = Model(Config(**{**known, "name": name}))
    state = {key: v for key, v in checkpoint.state.items() if key != "_species_table"}
    model.load_state_dict(state, strict=True)
    return model.eval()
