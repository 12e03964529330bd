"""ALIGNN with its prediction head, differentiable.

Method: Choudhary and DeCost, npj Comput. Mater. 7, 185 (2021), in the form with LayerNorm of
``alignn.models.alignn_atomwise``: the norm of a row depends on no other row, so that batches may
be cut to fit the memory without changing the result. Parameters are those of
`ingest.encoders.alignn.model.AlignnModel`, whose forward pass works in place and keeps nothing for
gradients; this one gives the same features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ingest.encoders.alignn.batch import AngleBlock, GraphBatch
from ingest.encoders.alignn.model import AlignnModel, Architecture

_GATE_EPSILON = 1e-6

Sums = Callable[[torch.Tensor], torch.Tensor]


class AlignnRegressor(nn.Module):
    """Predicts one number for each crystal from the mean of its atoms' last features.

    Parameters
    ----------
    architecture : Architecture
        With LayerNorm.
    seed : int
        Of the initial weights, which have PyTorch's default distributions.
    """

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        super().__init__()
        if architecture.norm != "layernorm":
            raise ValueError("only the architecture with LayerNorm is trained here")
        self.architecture = architecture
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = AlignnModel(architecture)
            self.fc = nn.Linear(architecture.hidden_features, 1)

    def forward(self, batch: GraphBatch) -> torch.Tensor:
        """Predictions, shape (n_graphs,), float32."""
        atoms = self.atom_features(batch)
        pooled = batch.pool_atoms.to(atoms.dtype) @ atoms
        predictions: torch.Tensor = self.fc(pooled).squeeze(-1)
        return predictions

    def atom_features(self, batch: GraphBatch) -> torch.Tensor:
        """The atoms' features after the last layer, shape (n_atoms, hidden_features)."""
        encoder: Any = self.encoder
        atoms = encoder.atom_embedding(batch.atom_features)
        bonds = encoder._embed_bonds(batch.bond_length)
        angles = [encoder.angle_embedding(block.cosine) for block in batch.angle_blocks]
        for layer in encoder.alignn_layers:
            atoms, bonds = _on_crystal(layer.node_update, batch, atoms, bonds)
            bonds, angles = _on_line_graph(layer.edge_update, batch, bonds, angles)
        for layer in encoder.gcn_layers:
            atoms, bonds = _on_crystal(layer, batch, atoms, bonds)
        return torch.as_tensor(atoms)

    def checkpoint_state(self) -> dict[str, torch.Tensor]:
        """The weights under the names of published checkpoints."""
        head = {f"fc.{name}": value for name, value in self.fc.state_dict().items()}
        return self.encoder.state_dict() | head

    def load_checkpoint_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take up weights by the names of published checkpoints; every name must be there."""
        self.fc.load_state_dict({name: state[f"fc.{name}"] for name in ("weight", "bias")})
        self.encoder.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})


def _gated(
    layer: Any,
    edges: torch.Tensor,
    ends: torch.Tensor,
    values: torch.Tensor,
    weight: torch.Tensor,
    sums: Sums,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The edges' new features, and the gated mean of ``values`` at each target."""
    gate = F.linear(edges, layer.edge_gate.weight) + ends
    sigma = torch.sigmoid(gate) * weight
    received = sums(sigma * values) / (sums(sigma) + _GATE_EPSILON)
    return edges + F.silu(layer.bn_edges(gate)), received


def _updated(layer: Any, nodes: torch.Tensor, received: torch.Tensor) -> torch.Tensor:
    return nodes + F.silu(layer.bn_nodes(layer.src_update(nodes) + received))


def _on_crystal(
    layer: Any, batch: GraphBatch, atoms: torch.Tensor, bonds: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    ends = layer.source_gate_with_bias(atoms).index_select(0, batch.source)
    ends = ends + layer.dst_gate(atoms).index_select(0, batch.target)
    values = layer.dst_update(atoms).index_select(0, batch.source)

    def at_atoms(rows: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(atoms).index_add(0, batch.target, rows)

    bonds, received = _gated(layer, bonds, ends, values, batch.count, at_atoms)
    return _updated(layer, atoms, received), bonds


def _on_line_graph(
    layer: Any, batch: GraphBatch, bonds: torch.Tensor, angles: list[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    source = layer.source_gate_with_bias(bonds)
    target = layer.dst_gate(bonds).index_select(0, batch.reverse)
    value = layer.dst_update(bonds)
    new_angles, received = [], []
    for block, block_angles in zip(batch.angle_blocks, angles, strict=True):

        def at_edges_out(rows: torch.Tensor, k: int = block.degree) -> torch.Tensor:
            return rows.view(-1, k, rows.shape[1]).sum(dim=1)

        ends = _pairs(block, source, 1) + _pairs(block, target, 2)
        values = _pairs(block, value, 1).expand_as(ends).reshape(block_angles.shape)
        block_angles, at_edges = _gated(
            layer,
            block_angles,
            ends.reshape(block_angles.shape),
            values,
            block.weight,
            at_edges_out,
        )
        new_angles.append(block_angles)
        received.append(at_edges)
    # Rows come by edge out, which is the reverse of the edge in at the same place.
    at_bonds = torch.cat(received).index_select(0, batch.reverse)
    return _updated(layer, bonds, at_bonds), new_angles


def _pairs(block: AngleBlock, bonds: torch.Tensor, axis: int) -> torch.Tensor:
    """Rows of the block's bonds, to broadcast over edges out (1) or edges in (2)."""
    rows = bonds[block.edges].view(block.n_atoms, block.degree, -1)
    return rows.unsqueeze(axis)
