"""ALIGNN in plain PyTorch: parameters named as in the published checkpoints, features pooled.

Method: Choudhary and DeCost, npj Comput. Mater. 7, 185 (2021). The layers are the edge-gated graph
convolution of ``alignn.models.alignn`` (BatchNorm) and ``alignn.models.alignn_atomwise``
(LayerNorm), evaluated on the dense blocks of ``GraphBatch``. It is for inference: blocks are
updated in place and small enough to stay in a core's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import torch
from torch import nn
from torch.nn import functional as F

from ingest.encoders.alignn.batch import GraphBatch

_GATE_EPSILON = 1e-6


@dataclass(frozen=True)
class CutoffEnvelope:
    """The smooth cut-off that some force-field models put on their bonds.

    ``multiply`` scales the bond's features by the envelope; otherwise the envelope takes the
    place of the bond length, as in alignn.
    """

    inner_cutoff: float
    exponent: int
    multiply: bool

    def __call__(self, length: torch.Tensor) -> torch.Tensor:
        """1 at zero length, 0 from ``inner_cutoff`` (Å) on."""
        p = self.exponent
        ratio = length / self.inner_cutoff
        value = (
            1
            - (p + 1) * (p + 2) / 2 * ratio**p
            + p * (p + 2) * ratio ** (p + 1)
            - p * (p + 1) / 2 * ratio ** (p + 2)
        )
        return torch.where(length <= self.inner_cutoff, value, torch.zeros_like(length))


@dataclass(frozen=True)
class Architecture:
    """What of a model's config decides its layers."""

    norm: Literal["batchnorm", "layernorm"]
    alignn_layers: int
    gcn_layers: int
    atom_input_features: int
    edge_input_features: int
    triplet_input_features: int
    embedding_features: int
    hidden_features: int
    envelope: CutoffEnvelope | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers after which features can be taken, in order."""
        return (
            "embedding",
            *(f"alignn_{i + 1}" for i in range(self.alignn_layers)),
            *(f"gcn_{i + 1}" for i in range(self.gcn_layers)),
        )


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation with its stored statistics, as one multiply-add set up by ``eval``."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.register_buffer("scale", torch.ones(features), persistent=False)
        self.register_buffer("shift", torch.zeros(features), persistent=False)

    def train(self, mode: bool = True) -> _BatchNorm:
        """Refuse training; otherwise take up the weights and statistics as they are now."""
        if mode:
            raise ValueError("this model is for inference")
        assert self.running_mean is not None and self.running_var is not None
        self.scale = (self.weight / torch.sqrt(self.running_var + self.eps)).detach()
        self.shift = (self.bias - self.running_mean * self.scale).detach()
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(self.shift, x, self.scale)


def _norm(kind: str, features: int) -> nn.Module:
    return _BatchNorm(features) if kind == "batchnorm" else nn.LayerNorm(features)


class _Linear(nn.Linear):
    """A linear layer whose weight may be in bfloat16, and its products with it."""

    def add_product_(self, total: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Add the product of ``x`` with the weight to ``total``, in place."""
        if self.weight.dtype == x.dtype:
            return total.addmm_(x, self.weight.t())
        return total.add_(torch.mm(x.to(self.weight.dtype), self.weight.t()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.weight.dtype == x.dtype:
            return F.linear(x, self.weight, self.bias)
        return torch.mm(x.to(self.weight.dtype), self.weight.t()) + self.bias


class _RadialBasis(nn.Module):
    """Gaussians on an even grid, as wide as its spacing."""

    centers: torch.Tensor

    def __init__(self, low: float, high: float, bins: int) -> None:
        super().__init__()
        grid = torch.linspace(low, high, bins)
        self.register_buffer("centers", grid)
        self.gamma = 1 / float(grid.diff().mean())

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        offset = value[:, None] - self.centers
        return torch.exp(-self.gamma * offset.square())


class _Dense(nn.Module):
    """Linear, norm, SiLU."""

    def __init__(self, norm: str, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(_Linear(inputs, outputs), _norm(norm, outputs), nn.SiLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        linear, norm, _ = self.layer
        return F.silu(norm(linear(x)), inplace=True)


class _EdgeGatedConvolution(nn.Module):
    """Gates each edge by its own and its ends' features, and sums gated sources at the targets.

    Method: Bresson and Laurent, arXiv:1711.07553, with a residual, as ALIGNN uses it.
    """

    def __init__(self, norm: str, features: int) -> None:
        super().__init__()
        self.src_gate = _Linear(features, features)
        self.dst_gate = _Linear(features, features)
        self.edge_gate = _Linear(features, features)
        self.bn_edges = _norm(norm, features)
        self.src_update = _Linear(features, features)
        self.dst_update = _Linear(features, features)
        self.bn_nodes = _norm(norm, features)

    def source_gate_with_bias(self, nodes: torch.Tensor) -> torch.Tensor:
        """The sources' share of the gate, with the edges' bias in it."""
        return self.src_gate(nodes) + self.edge_gate.bias

    def gate_(
        self,
        edges: torch.Tensor,
        ends: torch.Tensor,
        values: torch.Tensor,
        weight: torch.Tensor,
        sums: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Update ``edges`` in place; return the gated mean of ``values`` at each target.

        Parameters
        ----------
        edges : Tensor, shape (n_edges, features)
            Updated in place.
        ends : Tensor, same number of elements
            Sum of both ends' shares of the gate; overwritten.
        values : Tensor, broadcastable to ``ends``
            What the sources send.
        weight : Tensor, shape (n_edges, 1)
            How often each edge counts.
        sums : callable
            Sums of rows like ``edges`` at each target.
        """
        gate = self.edge_gate.add_product_(ends.view(edges.shape), edges)
        sigma = torch.sigmoid(gate).mul_(weight)
        total = sums(sigma)
        sigma.view(ends.shape).mul_(values)
        received = sums(sigma).div_(total.add_(_GATE_EPSILON))
        edges.add_(F.silu(self.bn_edges(gate), inplace=True))
        return received

    def update_nodes(self, nodes: torch.Tensor, received: torch.Tensor) -> torch.Tensor:
        """The nodes' new features."""
        change = self.src_update(nodes).add_(received)
        return F.silu(self.bn_nodes(change), inplace=True).add_(nodes)

    def on_crystal(
        self, batch: GraphBatch, atoms: torch.Tensor, bonds: torch.Tensor
    ) -> torch.Tensor:
        """New atom features; ``bonds`` are updated in place."""
        ends = self.source_gate_with_bias(atoms).index_select(0, batch.source)
        ends.add_(self.dst_gate(atoms).index_select(0, batch.target))
        values = self.dst_update(atoms).index_select(0, batch.source)
        received = self.gate_(bonds, ends, values, batch.count, partial(_sums_at_atoms, batch))
        return self.update_nodes(atoms, received)

    def on_line_graph(
        self, batch: GraphBatch, bonds: torch.Tensor, angles: list[torch.Tensor]
    ) -> torch.Tensor:
        """New bond features; ``angles``, a tensor for each block, are updated in place."""
        source = self.source_gate_with_bias(bonds)
        target = self.dst_gate(bonds).index_select(0, batch.reverse)
        value = self.dst_update(bonds)
        received = []
        for block, block_angles in zip(batch.angle_blocks, angles, strict=True):
            n, k = block.n_atoms, block.degree
            into = source[block.edges].view(n, 1, k, -1)
            out = target[block.edges].view(n, k, 1, -1)
            values = value[block.edges].view(n, 1, k, -1)
            sums = partial(_sums_of, k)
            received.append(self.gate_(block_angles, into + out, values, block.weight, sums))
        # Rows come by edge out, which is the reverse of the edge in at the same place.
        return self.update_nodes(bonds, torch.cat(received).index_select(0, batch.reverse))


class _AlignnLayer(nn.Module):
    """A convolution on the crystal graph, then one on its line graph."""

    def __init__(self, norm: str, features: int) -> None:
        super().__init__()
        self.node_update = _EdgeGatedConvolution(norm, features)
        self.edge_update = _EdgeGatedConvolution(norm, features)

    def forward(
        self,
        batch: GraphBatch,
        atoms: torch.Tensor,
        bonds: torch.Tensor,
        angles: list[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        atoms = self.node_update.on_crystal(batch, atoms, bonds)
        return atoms, self.edge_update.on_line_graph(batch, bonds, angles)


class AlignnModel(nn.Module):
    """ALIGNN without its prediction head."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.atom_embedding = _Dense(a.norm, a.atom_input_features, a.hidden_features)
        self.edge_embedding = nn.Sequential(
            _RadialBasis(0, 8, a.edge_input_features),
            _Dense(a.norm, a.edge_input_features, a.embedding_features),
            _Dense(a.norm, a.embedding_features, a.hidden_features),
        )
        self.angle_embedding = nn.Sequential(
            _RadialBasis(-1, 1, a.triplet_input_features),
            _Dense(a.norm, a.triplet_input_features, a.embedding_features),
            _Dense(a.norm, a.embedding_features, a.hidden_features),
        )
        self.alignn_layers = nn.ModuleList(
            _AlignnLayer(a.norm, a.hidden_features) for _ in range(a.alignn_layers)
        )
        self.gcn_layers = nn.ModuleList(
            _EdgeGatedConvolution(a.norm, a.hidden_features) for _ in range(a.gcn_layers)
        )

    def _embed_bonds(self, length: torch.Tensor) -> torch.Tensor:
        envelope = self.architecture.envelope
        if envelope is None:
            length_features: torch.Tensor = self.edge_embedding(length)
            return length_features
        if envelope.multiply:
            return self.edge_embedding(length) * envelope(length)[:, None]
        features: torch.Tensor = self.edge_embedding(envelope(length))
        return features

    def use_bfloat16_weights(self) -> None:
        """Multiply matrices in bfloat16 from now on; norms and residuals stay float32."""
        for module in self.modules():
            if isinstance(module, _Linear):
                module.weight.data = module.weight.data.to(torch.bfloat16)

    def pooled_features(self, batch: GraphBatch, layer: str) -> torch.Tensor:
        """Atom, bond and angle features after ``layer``, each averaged over a crystal.

        Angle features change in the ALIGNN layers only: after a GCN layer they are those of the
        last ALIGNN layer.

        Returns
        -------
        Tensor, shape (n_graphs, 3 * hidden_features), float32
        """
        names = iter(self.architecture.layers)
        atoms = self.atom_embedding(batch.atom_features)
        bonds = self._embed_bonds(batch.bond_length)
        angles = [self.angle_embedding(block.cosine) for block in batch.angle_blocks]
        name = next(names)
        for alignn_layer in self.alignn_layers:
            if name == layer:
                break
            atoms, bonds = alignn_layer(batch, atoms, bonds, angles)
            name = next(names)
        for gcn_layer in cast("list[_EdgeGatedConvolution]", self.gcn_layers):
            if name == layer:
                break
            atoms = gcn_layer.on_crystal(batch, atoms, bonds)
            name = next(names)
        angles_at_atoms = torch.cat(
            [
                _sums_of(block.degree**2, rows * block.count)
                for rows, block in zip(angles, batch.angle_blocks, strict=True)
            ]
        )
        # In float64, whatever the precision of products in float32 is set to.
        pooled = [
            batch.pool_atoms @ atoms.double(),
            batch.pool_edges @ _sums_at_atoms(batch, bonds * batch.count).double(),
            batch.pool_angles @ angles_at_atoms.double(),
        ]
        return torch.cat(pooled, dim=1).float()


def _sums_of(k: int, rows: torch.Tensor) -> torch.Tensor:
    """Sums of consecutive rows, k at a time."""
    return rows.view(-1, k, rows.shape[1]).sum(dim=1)


def _sums_at_atoms(batch: GraphBatch, edges: torch.Tensor) -> torch.Tensor:
    """Sums of rows for edges at their target atoms."""
    return torch.cat([_sums_of(block.degree, edges[block.edges]) for block in batch.atom_blocks])
