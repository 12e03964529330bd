"""ALIGNN in plain PyTorch: parameters named as in the published checkpoints, features pooled.

Method: Choudhary and DeCost, npj Comput. Mater. 7, 185 (2021). The layers are the edge-gated graph
convolution of ``alignn.models.alignn`` (BatchNorm) and ``alignn.models.alignn_atomwise``
(LayerNorm), evaluated on the dense blocks of ``GraphBatch``. It is for inference: blocks are
updated in place and small enough to stay in a core's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import nn
from torch.nn import functional as F

from ingest.encoders.alignn.batch import AngleBlock, GraphBatch

_GATE_EPSILON = 1e-6

_FEW_ROWS = 64
_MANY_ROWS = 256


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


def padded(n: int) -> int:
    """Rows to compute for ``n``: few different numbers, each of which is a product's shape.

    oneDNN compiles a bfloat16 product anew for every shape, in more time than it takes to run.
    """
    step = _FEW_ROWS if n <= 8 * _FEW_ROWS else _MANY_ROWS
    return -(-n // step) * step


def _with_inert_rows(rows: torch.Tensor, n: int) -> torch.Tensor:
    """``rows`` and zeros after them, ``n`` together."""
    extended = rows.new_zeros((n, *rows.shape[1:]))
    extended[: len(rows)] = rows
    return extended


@dataclass(frozen=True, eq=False)
class _Scratch:
    """Room for one block's gates, used again for every block so that it stays in a cache.

    Both tensors have shape (rows of the largest block, features).
    """

    gate: torch.Tensor
    sigma: torch.Tensor

    @classmethod
    def of(cls, batch: GraphBatch, features: int) -> _Scratch:
        n_edges = max(block.edges.stop - block.edges.start for block in batch.atom_blocks)
        n_angles = max(len(block.cosine) for block in batch.angle_blocks)
        # Zeros, because rows that no edge fills are multiplied too.
        both = batch.atom_features.new_zeros((2, padded(max(n_edges, n_angles)), features))
        return cls(both[0], both[1])


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
        scratch: _Scratch,
        shape: tuple[int, int, int, int],
        values: torch.Tensor,
        weight: torch.Tensor | None,
        received: torch.Tensor,
    ) -> None:
        """Update ``edges`` in place; put the gated mean of ``values`` at each target.

        Parameters
        ----------
        edges : Tensor, shape (padded(n_edges), features)
            Its first rows are updated in place.
        scratch : _Scratch
            Its ``gate`` holds the sum of both ends' shares of the gate.
        shape : tuple of int
            ``(n, targets, edges of a target, features)`` of the rows that are updated.
        values : Tensor, broadcastable to ``shape``
            What the sources send.
        weight : Tensor, shape (n_edges, 1), or None
            How often each edge counts; None for once.
        received : Tensor, shape (n * targets, features)
            Written.
        """
        n_targets, degree = shape[0] * shape[1], shape[2]
        n_edges = n_targets * degree
        self.edge_gate.add_product_(scratch.gate[: len(edges)], edges)
        gate, sigma = scratch.gate[:n_edges], scratch.sigma[:n_edges]
        torch.sigmoid(gate, out=sigma)
        if weight is not None:
            sigma.mul_(weight)
        by_target = sigma.view(n_targets, degree, -1)
        total = by_target.sum(dim=1)
        sigma.view(shape).mul_(values)
        torch.sum(by_target, dim=1, out=received)
        received.div_(total.add_(_GATE_EPSILON))
        if isinstance(self.bn_edges, _BatchNorm):
            change = torch.addcmul(self.bn_edges.shift, gate, self.bn_edges.scale, out=sigma)
        else:
            change = self.bn_edges(gate)
        edges[:n_edges].add_(F.silu(change, inplace=True))

    def update_nodes(self, nodes: torch.Tensor, received: torch.Tensor) -> torch.Tensor:
        """The nodes' new features."""
        change = self.src_update(nodes).add_(received)
        return F.silu(self.bn_nodes(change), inplace=True).add_(nodes)

    def on_crystal(
        self, batch: GraphBatch, atoms: torch.Tensor, bonds: torch.Tensor, scratch: _Scratch
    ) -> torch.Tensor:
        """New atom features; ``bonds`` are updated in place."""
        source, target = self.source_gate_with_bias(atoms), self.dst_gate(atoms)
        value = self.dst_update(atoms)
        received = torch.zeros_like(atoms)
        for block in batch.atom_blocks:
            start, stop, k = block.edges.start, block.edges.stop, block.degree
            n_atoms, n_edges = (stop - start) // k, stop - start
            shape = (n_atoms, 1, k, atoms.shape[1])
            from_atoms = batch.source[block.edges]
            gate = scratch.gate[:n_edges]
            torch.index_select(source, 0, from_atoms, out=gate)
            gate.view(shape).add_(target[block.atoms].view(n_atoms, 1, 1, -1))
            self.gate_(
                bonds[start : start + padded(n_edges)],
                scratch,
                shape,
                value.index_select(0, from_atoms).view(shape),
                None if batch.single else batch.count[block.edges],
                received[block.atoms],
            )
        return self.update_nodes(atoms, received)

    def on_line_graph(
        self,
        batch: GraphBatch,
        bonds: torch.Tensor,
        angles: list[torch.Tensor],
        reverse: torch.Tensor,
        scratch: _Scratch,
    ) -> torch.Tensor:
        """New bond features; ``angles``, a tensor for each block, are updated in place."""
        source = self.source_gate_with_bias(bonds)
        target = self.dst_gate(bonds).index_select(0, reverse)
        value = self.dst_update(bonds)
        received = torch.zeros_like(bonds)
        for block, block_angles in zip(batch.angle_blocks, angles, strict=True):
            n, k = block.n_atoms, block.degree
            shape = (n, k, k, bonds.shape[1])
            into = source[block.edges].view(n, 1, k, -1)
            out = target[block.edges].view(n, k, 1, -1)
            torch.add(into, out, out=scratch.gate[: n * k * k].view(shape))
            self.gate_(
                block_angles,
                scratch,
                shape,
                value[block.edges].view(n, 1, k, -1),
                None if block.single else block.weight,
                received[block.edges],
            )
        # Rows come by edge out, which is the reverse of the edge in at the same place.
        return self.update_nodes(bonds, received.index_select(0, reverse))


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
        reverse: torch.Tensor,
        scratch: _Scratch,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        atoms = self.node_update.on_crystal(batch, atoms, bonds, scratch)
        return atoms, self.edge_update.on_line_graph(batch, bonds, angles, reverse, scratch)


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
        n_atoms, n_bonds = len(batch.atom_features), len(batch.bond_length)
        # A block's rows are read up to their padded number, also those of the last one.
        room = padded(n_bonds + _MANY_ROWS)
        reverse = _with_inert_rows(batch.reverse, room)
        scratch = _Scratch.of(batch, self.architecture.hidden_features)
        atoms = self.atom_embedding(_with_inert_rows(batch.atom_features, padded(n_atoms)))
        bonds = self._embed_bonds(_with_inert_rows(batch.bond_length, room))
        angles = [
            self.angle_embedding(_with_inert_rows(block.cosine, padded(len(block.cosine))))
            for block in batch.angle_blocks
        ]
        name = next(names)
        for alignn_layer in self.alignn_layers:
            if name == layer:
                break
            atoms, bonds = alignn_layer(batch, atoms, bonds, angles, reverse, scratch)
            name = next(names)
        for gcn_layer in cast("list[_EdgeGatedConvolution]", self.gcn_layers):
            if name == layer:
                break
            atoms = gcn_layer.on_crystal(batch, atoms, bonds, scratch)
            name = next(names)
        angles_at_atoms = torch.cat(
            [
                _sums_of(block.degree**2, _counted(rows[: len(block.cosine)], block))
                for rows, block in zip(angles, batch.angle_blocks, strict=True)
            ]
        )
        bonds_at_atoms = torch.cat(
            [
                _sums_of(block.degree, bonds[block.edges] * batch.count[block.edges])
                for block in batch.atom_blocks
            ]
        )
        # In float64, whatever the precision of products in float32 is set to.
        pooled = [
            batch.pool_atoms @ atoms[:n_atoms].double(),
            batch.pool_edges @ bonds_at_atoms.double(),
            batch.pool_angles @ angles_at_atoms.double(),
        ]
        return torch.cat(pooled, dim=1).float()


def _counted(rows: torch.Tensor, block: AngleBlock) -> torch.Tensor:
    return rows if block.single else rows * block.count


def _sums_of(k: int, rows: torch.Tensor) -> torch.Tensor:
    """Sums of consecutive rows, k at a time."""
    return rows.view(-1, k, rows.shape[1]).sum(dim=1)
