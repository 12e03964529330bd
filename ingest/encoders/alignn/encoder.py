"""The ALIGNN structure encoder: crystals in, pooled atom, bond and angle features out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from ingest.encoders.alignn.atoms import element_features
from ingest.encoders.alignn.batch import bounded_batches, collate
from ingest.encoders.alignn.checkpoint import Checkpoint, read_checkpoint
from ingest.encoders.alignn.graph import GRAPH_VERSION, CrystalGraph, build_graph
from ingest.encoders.base import EncoderSpec, Precision, Segment, StructureVector
from ingest.encoders.parallel import all_cores, has_bfloat16_products

_SEGMENTS = ("atom", "bond", "angle")

_GROUP_ATOMS = 256
"""Atoms that one thread takes at a time, about."""

_BATCH_ANGLES = 65_536
"""Bond angles evaluated together: 64 MB of angle features at the published width in float32."""

_MAX_ANGLES = 2_000_000
"""Bond angles of the largest structure that is encoded: 2 GB of angle features."""

_CACHED_ANGLES = 1024
"""Bond angles in a block on a CPU: at the published width some of its arrays fit a core's cache."""

Atoms = npt.NDArray[np.float32]


class Backend(Protocol):
    """Evaluates a model on graphs and pools its features."""

    bfloat16_products: bool
    """Whether `all_cores` is to multiply in bfloat16."""

    def pooled(self, graphs: Sequence[CrystalGraph], atoms: Sequence[Atoms]) -> Atoms:
        """Float32, shape (n_graphs, 3 * hidden_features)."""
        ...


class TorchBackend:
    """Plain PyTorch, on the device and in the precision asked for."""

    def __init__(
        self, checkpoint: Checkpoint, layer: str, precision: Precision, device: str
    ) -> None:
        on_cpu = torch.device(device).type == "cpu"
        self.bfloat16_products = on_cpu and precision == "bfloat16"
        self._model = checkpoint.model().to(device)
        if precision == "bfloat16" and not on_cpu:
            self._model.use_bfloat16_weights()
        self._block_angles = _CACHED_ANGLES if on_cpu else _BATCH_ANGLES
        self._layer = layer
        self._device = device

    def pooled(self, graphs: Sequence[CrystalGraph], atoms: Sequence[Atoms]) -> Atoms:
        """Float32, shape (n_graphs, 3 * hidden_features)."""
        batch = collate(graphs, atoms, block_angles=self._block_angles, device=self._device)
        with torch.inference_mode():
            features: Atoms = self._model.pooled_features(batch, self._layer).cpu().numpy()
        return features


class AlignnEncoder:
    """Implements ``ingest.encoders.base.StructureEncoder``."""

    def __init__(self, spec: EncoderSpec, checkpoint: Checkpoint, backend: Backend) -> None:
        self.spec = spec
        self._graph_settings = checkpoint.graph
        self._atom_features = checkpoint.atom_features
        self._n_features = checkpoint.architecture.atom_input_features
        self._backend = backend

    def encode(self, crystals: Sequence[Crystal]) -> list[StructureVector | Failure]:
        """One vector or failure for each crystal, in order."""
        results: list[StructureVector | Failure | None] = [None] * len(crystals)
        groups = _groups([crystal.n_atoms for crystal in crystals], torch.get_num_threads())
        with all_cores(bfloat16_products=self._backend.bfloat16_products) as pool:
            encoded = pool.map(lambda g: self._encode_group([crystals[i] for i in g]), groups)
            for group, group_results in zip(groups, encoded, strict=True):
                for index, result in zip(group, group_results, strict=True):
                    results[index] = result
        return [result for result in results if result is not None]

    def _encode_group(self, crystals: Sequence[Crystal]) -> list[StructureVector | Failure]:
        results: dict[int, StructureVector | Failure] = {}
        prepared: dict[int, tuple[CrystalGraph, Atoms]] = {}
        for index, crystal in enumerate(crystals):
            try:
                prepared[index] = self._prepare(crystal)
            except FeatureStoreError as error:
                results[index] = Failure.of(error)
        n_angles = ((index, graph.n_triplets) for index, (graph, _) in prepared.items())
        for batch in bounded_batches(n_angles, _BATCH_ANGLES):
            graphs, atoms = zip(*(prepared[i] for i in batch), strict=True)
            for index, vector in zip(batch, self._backend.pooled(graphs, atoms), strict=True):
                if np.isfinite(vector).all():
                    results[index] = StructureVector(vector)
                else:
                    results[index] = Failure(
                        "InvalidInputError", "the model's features of the structure are not finite"
                    )
        return [results[index] for index in range(len(crystals))]

    def _prepare(self, crystal: Crystal) -> tuple[CrystalGraph, Atoms]:
        features = [element_features(symbol, self._atom_features) for symbol in crystal.species]
        graph = build_graph(crystal, self._graph_settings)
        if features[0].size != self._n_features:
            raise InvalidInputError(
                f"atom features {self._atom_features!r} have {features[0].size} values and the "
                f"model takes {self._n_features}"
            )
        if graph.n_triplets > _MAX_ANGLES:
            raise InvalidInputError(
                f"the structure has {graph.n_triplets} bond angles between neighbours and the "
                f"encoder takes {_MAX_ANGLES}; give a smaller cell"
            )
        return graph, np.stack(features)


def _groups(n_atoms: Sequence[int], n_threads: int) -> list[list[int]]:
    """Indices in groups of about equal work, as many for each thread, largest structures first."""
    total = sum(n_atoms)
    n_groups = n_threads * -(-total // (n_threads * _GROUP_ATOMS))
    groups: list[list[int]] = []
    done = 0
    for index in sorted(range(len(n_atoms)), key=lambda i: -n_atoms[i]):
        # The next group begins where its equal share of all atoms does.
        if not groups or done * n_groups >= len(groups) * total:
            groups.append([])
        groups[-1].append(index)
        done += n_atoms[index]
    return groups


def load_alignn_encoder(
    folder: Path,
    *,
    name: str,
    layer: str = "last",
    precision: Precision = "float32",
    device: str = "cpu",
    backend: Literal["torch", "dgl"] = "torch",
) -> AlignnEncoder:
    """The encoder whose weights and ``config.json`` are in ``folder``.

    Parameters
    ----------
    folder : Path
        See `read_checkpoint`.
    name : str
        The encoder's name in the store.
    layer : str
        ``"last"``, the paper's choice, or ``"embedding"``, ``"alignn_1"``… or ``"gcn_1"``….
    precision : {"float32", "bfloat16"}
        Float32 is the reference.
    device : str
        A torch device, for example ``"cuda"``.
    backend : {"torch", "dgl"}
        ``"dgl"`` runs alignn's original DGL model, for comparison, and is slower. Both give the
        same vectors to 2e-5, so they share an encoder id.

    Raises
    ------
    InvalidInputError
        If the checkpoint cannot be used, or not in this combination.
    UnknownNameError
        If the model has no such layer.
    """
    checkpoint = read_checkpoint(folder)
    layers = checkpoint.architecture.layers
    if layer not in (*layers, "last"):
        raise UnknownNameError("ALIGNN layer", layer, (*layers, "last"))
    layer = layers[-1] if layer == "last" else layer
    chosen: Backend
    if backend == "dgl":
        from ingest.encoders.alignn.dgl_backend import DglBackend

        if precision != "float32" or device != "cpu":
            raise InvalidInputError(
                "the DGL backend is the reference: float32 on the CPU only; "
                "use the torch backend for other precisions and devices"
            )
        chosen = DglBackend(checkpoint, layer)
    else:
        if torch.device(device).type == "cuda" and not torch.cuda.is_available():
            raise InvalidInputError(
                f"device {device!r} was asked for and torch sees no CUDA GPU; "
                "install a CUDA build of torch or use device 'cpu'"
            )
        if (
            torch.device(device).type == "cpu"
            and precision == "bfloat16"
            and not has_bfloat16_products()
        ):
            raise InvalidInputError(
                "precision 'bfloat16' was asked for and this CPU does not multiply in bfloat16; "
                "use precision 'float32'"
            )
        chosen = TorchBackend(checkpoint, layer, precision, device)
    width = checkpoint.architecture.hidden_features
    spec = EncoderSpec(
        name=name,
        kind="structure",
        dimension=3 * width,
        segments=tuple(
            Segment(segment, i * width, (i + 1) * width) for i, segment in enumerate(_SEGMENTS)
        ),
        fingerprint={
            "encoder": "alignn",
            **checkpoint.fingerprint,
            "graph_version": GRAPH_VERSION,
            "layer": layer,
            "pooling": "mean",
            "precision": precision,
            "device": torch.device(device).type,
        },
    )
    return AlignnEncoder(spec, checkpoint, chosen)
