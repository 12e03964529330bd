"""CHGNet's crystal and site features (B. Deng et al., Nature Machine Intelligence 2023, 5, 1031).

The vector has two segments. ``crystal`` is what the energy is read from: the features of the atoms
after the last convolution, which CHGNet sums over the cell; divided by the number of atoms here, so
that it does not depend on the choice of cell. ``site`` is the mean over the sites of what the
magnetic moments are read from, the features before the last convolution.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.plugins import Request
from ingest.encoders.base import EncoderSpec, Segment, StructureVector
from ingest.encoders.chgnet.weights import TRAINED_ON
from ingest.encoders.parallel import all_cores
from ingest.structures.convert import to_pymatgen
from ingest.weights.cache import file_sha256

# Bonds and bond angles of a batch, some 3 kB each: 90 MB in each thread. Larger ones are no faster.
_BATCH_SIZE = 30_000
# Of the largest structure that is encoded: 3 GB.
_MAX_SIZE = 1_000_000


def chgnet_encoder(request: Request) -> ChgnetEncoder:
    """The encoder with the weights that the setting ``model`` names.

    Raises
    ------
    InvalidInputError
        If the package lacks the weights, or there is no such device.
    """
    model_name = request.settings["model"]
    device = torch.device(request.settings["device"])
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError(
            f"device {str(device)!r} was asked for and torch sees no CUDA GPU; use device 'cpu'"
        )
    path = _weights(model_name)
    model = _model(path, model_name).to(device)
    width = model.atom_fea_dim
    fingerprint = request.fingerprint | {
        "weights_sha256": file_sha256(path),
        "trained_on": TRAINED_ON[model_name],
        "pooling": "mean",
    }
    spec = EncoderSpec(
        name=request.name,
        kind="structure",
        dimension=2 * width,
        segments=(Segment("crystal", 0, width), Segment("site", width, 2 * width)),
        fingerprint=fingerprint,
    )
    return ChgnetEncoder(spec, model, device)


class ChgnetEncoder:
    """Implements ``ingest.encoders.base.StructureEncoder``."""

    def __init__(self, spec: EncoderSpec, model: Any, device: torch.device) -> None:
        self.spec = spec
        self._model = model
        self._device = device
        self._n_elements = model.atom_embedding.embedding.num_embeddings

    def encode(self, crystals: Sequence[Crystal]) -> list[StructureVector | Failure]:
        """One vector or failure for each crystal, in order."""
        results: dict[int, StructureVector | Failure] = {}
        with all_cores() as pool:
            batches = list(self._batches(crystals, results))
            encoded = pool.map(lambda batch: self._vectors([g for _, g in batch]), batches)
            for batch, vectors in zip(batches, encoded, strict=True):
                for (index, _), vector in zip(batch, vectors, strict=True):
                    if np.isfinite(vector).all():
                        results[index] = StructureVector(vector)
                    else:
                        results[index] = Failure("NotFinite", "CHGNet's features are not finite")
        return [results[index] for index in range(len(crystals))]

    def _batches(
        self, crystals: Sequence[Crystal], results: dict[int, StructureVector | Failure]
    ) -> Iterator[list[tuple[int, Any]]]:
        """Graphs with their indices in batches of bounded size; failures go into ``results``.

        The graphs are made in this one thread: CHGNet's converter sets the thresholds of Python's
        garbage collector and back, which two threads at once would leave at zero.
        """
        batch: list[tuple[int, Any]] = []
        total = 0
        for index, crystal in enumerate(crystals):
            try:
                graph = self._graph(crystal)
            # pymatgen and CHGNet raise whatever their parts raise.
            except Exception as error:
                results[index] = Failure.of(error)
                continue
            size = len(graph.atom_graph) + len(graph.bond_graph)
            if batch and total + size > _BATCH_SIZE:
                yield batch
                batch, total = [], 0
            batch.append((index, graph))
            total += size
        if batch:
            yield batch

    def _graph(self, crystal: Crystal) -> Any:
        structure = to_pymatgen(crystal)
        for element in structure.elements:
            if self._n_elements < element.Z:
                raise InvalidInputError(
                    f"CHGNet does not know the element {element.symbol}, only the first "
                    f"{self._n_elements}"
                )
        # On an error the converter writes the structure into the working folder.
        structure.to = lambda **_: None
        graph = self._model.graph_converter(structure)
        size = len(graph.atom_graph) + len(graph.bond_graph)
        if size > _MAX_SIZE:
            raise InvalidInputError(
                f"the structure has {size} bonds and bond angles and the encoder takes "
                f"{_MAX_SIZE}; give a smaller cell"
            )
        return graph

    def _vectors(self, graphs: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Float32, shape (n_graphs, dimension)."""
        with torch.no_grad():
            found = self._model(
                [graph.to(self._device) for graph in graphs],
                return_atom_feas=True,
                return_crystal_feas=True,
            )
            crystal = found["crystal_fea"] / found["atoms_per_graph"][:, None]
            site = torch.stack([features.mean(dim=0) for features in found["atom_fea"]])
            vectors: npt.NDArray[np.float32] = torch.cat([crystal, site], dim=1).cpu().numpy()
        return vectors


def _weights(model_name: str) -> Path:
    import chgnet

    folder = Path(chgnet.__file__).parent / "pretrained" / model_name
    found = sorted(folder.glob("*.pth.tar"))
    if len(found) != 1:
        raise InvalidInputError(
            f"{folder} holds {len(found)} files of weights, expected one: reinstall chgnet"
        )
    return found[0]


def _model(path: Path, model_name: str) -> Any:
    from chgnet.model.model import CHGNet

    # As CHGNet.load does, but no code that a pickle may carry is run.
    state = torch.load(path, map_location="cpu", weights_only=True)["model"]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its size
        model = CHGNet.from_dict(state, mlp_out_bias=model_name == "0.2.0", version=model_name)
    if not model.mlp_first:
        raise InvalidInputError(f"{path}: its crystal features are means already, not sums")
    return model.eval().requires_grad_(False)
