"""Reads an ALIGNN checkpoint, of any of its kinds, strictly: the config decides, the keys must fit.

Kinds: the published property models (``alignn``: BatchNorm, trained with DGL), ALIGNN-FF and
other ``alignn_atomwise`` models (LayerNorm), and today's models without DGL
(``alignn_atomwise_pure``). Weights are only ever read as data, never as code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from featurestore.errors import InvalidInputError
from featurestore.files import read_json, read_regular
from featurestore.identity import sha256_hex
from ingest.encoders.alignn.graph import GraphSettings
from ingest.encoders.alignn.model import AlignnModel, Architecture, CutoffEnvelope

_NORMS: dict[str, Literal["batchnorm", "layernorm"]] = {
    "alignn": "batchnorm",
    "alignn_atomwise": "layernorm",
    "alignn_atomwise_pure": "layernorm",
}

# Heads predict a property from the features, and the table is for another program's use.
_NOT_ENCODER = re.compile(
    r"(fc\d?|fc_atomwise|fc_additional_output|extra_feature_embedding)\.|_species_table$"
)

# Largest size that a configuration may give, and bytes of weights.
_MOST_SIZE = 65_536
_MOST_WEIGHTS = 8 * 2**30
# Parameters a byte of the file can stand for, with a wide margin.
_BYTES_MARGIN = 2
_ALWAYS_FINE = 10_000_000


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint as read from disk.

    Parameters
    ----------
    weights_path : Path
    weights_sha256 : str
    kind : str
        The config's model name.
    model_config : mapping
        The config's model part, as written.
    architecture : Architecture
    graph : GraphSettings
    atom_features : str
        Name of the atoms' feature set.
    state : mapping of str to Tensor
        All weights of the file.
    """

    weights_path: Path
    weights_sha256: str
    kind: str
    model_config: Mapping[str, Any]
    architecture: Architecture
    graph: GraphSettings
    atom_features: str
    state: Mapping[str, torch.Tensor]

    def model(self) -> AlignnModel:
        """The encoder's part of the model, in evaluation mode.

        Raises
        ------
        InvalidInputError
            If a weight is missing, unknown or of another shape than the config says.
        """
        model = AlignnModel(self.architecture)
        state = {key: value for key, value in self.state.items() if not _NOT_ENCODER.match(key)}
        expected = model.state_dict()
        problems = []
        for what, keys in (
            ("missing", expected.keys() - state.keys()),
            ("unknown", state.keys() - expected.keys()),
        ):
            if keys:
                problems.append(f"{what} {_some(keys)}")
        wrong = {
            key for key in expected.keys() & state.keys() if expected[key].shape != state[key].shape
        }
        if wrong:
            shapes = {f"{k} {tuple(state[k].shape)} not {tuple(expected[k].shape)}" for k in wrong}
            problems.append(f"of another shape {_some(shapes)}")
        if problems:
            raise InvalidInputError(
                f"{self.weights_path}: the weights do not fit the config's model "
                f"{self.kind!r} ({self.architecture.norm}): " + "; ".join(problems)
            )
        for key, value in state.items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise InvalidInputError(f"{self.weights_path}: weight {key} is not finite")
        model.load_state_dict(state, strict=True)
        return model.eval().requires_grad_(False)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What of the checkpoint can change a vector."""
        return {
            "weights_sha256": self.weights_sha256,
            "architecture": asdict(self.architecture),
            "graph": {"neighbor_strategy": "k-nearest", **asdict(self.graph)},
            "atom_features": self.atom_features,
        }


def _some(names: set[str] | Any) -> str:
    """Up to six names and how many there are beside."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 6} more" if len(ordered) > 6 else ""
    return ", ".join(ordered[:6]) + more


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read ``config.json`` and the weights beside it.

    ``folder`` may also be what a published zip unpacks to, with both files in one folder below.
    Of several weight files the first of these is taken: ``*.safetensors``, ``best_model.pt``,
    the ``checkpoint_*.pt`` of the highest number.

    Raises
    ------
    InvalidInputError
        If a file is missing or unreadable, or the config asks for what this encoder is not.
    """
    config_path = _config_path(folder)
    weights_path = _weights_path(config_path.parent)
    config = read_json(config_path)
    try:
        model_config = dict(config["model"])
        kind = str(model_config["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{config_path}: not an ALIGNN config, which is JSON with a model and its name "
            f"({type(error).__name__}: {error})"
        ) from error
    raw = read_regular(weights_path, _MOST_WEIGHTS)
    architecture = _architecture(config_path, kind, model_config)
    _check_size(config_path, architecture, len(raw))
    return Checkpoint(
        weights_path=weights_path,
        weights_sha256=sha256_hex(raw),
        kind=kind,
        model_config=model_config,
        architecture=architecture,
        graph=_graph_settings(config_path, config),
        atom_features=str(config.get("atom_features", "cgcnn")),
        state=_read_weights(weights_path),
    )


def _check_size(path: Path, asked: Architecture, n_bytes: int) -> None:
    """Raise if a model of these sizes cannot come from weights of so many bytes.

    Building it would take the machine's memory before its weights were found not to fit.
    """
    layers = 2 * asked.alignn_layers + asked.gcn_layers
    inputs = asked.atom_input_features + asked.edge_input_features + asked.triplet_input_features
    # An edge-gated convolution has five dense maps (Choudhary and DeCost 2021, eq. 1 to 4).
    parameters = layers * 5 * asked.hidden_features**2
    parameters += inputs * asked.embedding_features + asked.embedding_features**2
    if parameters > max(_ALWAYS_FINE, _BYTES_MARGIN * n_bytes):
        raise InvalidInputError(
            f"{path}: the model asks for about {parameters:.3g} parameters, its weights have "
            f"{n_bytes:,} bytes"
        )


def _config_path(folder: Path) -> Path:
    if not folder.is_dir():
        raise InvalidInputError(f"{folder}: no such folder of ALIGNN weights")
    if (folder / "config.json").is_file():
        return folder / "config.json"
    found = sorted(folder.rglob("config.json"))
    if len(found) != 1:
        raise InvalidInputError(
            f"{folder}: holds {len(found)} files named config.json and needs exactly one, "
            "beside the weights"
        )
    return found[0]


def _weights_path(folder: Path) -> Path:
    safetensors = sorted(folder.glob("*.safetensors"))
    if len(safetensors) > 1:
        raise InvalidInputError(
            f"{folder}: holds several weight files ({_some({p.name for p in safetensors})}); "
            "leave one"
        )
    if safetensors:
        return safetensors[0]
    if (folder / "best_model.pt").is_file():
        return folder / "best_model.pt"
    numbered = {}
    for path in folder.glob("checkpoint_*.pt"):
        number = re.fullmatch(r"checkpoint_(\d+)\.pt", path.name)
        if number:
            numbered[int(number[1])] = path
    if not numbered:
        raise InvalidInputError(
            f"{folder}: holds no weights (a .safetensors file, best_model.pt or checkpoint_*.pt)"
        )
    return numbered[max(numbered)]


def _architecture(path: Path, kind: str, config: Mapping[str, Any]) -> Architecture:
    if kind not in _NORMS:
        raise InvalidInputError(
            f"{path}: model {kind!r} is not one this encoder knows ({', '.join(_NORMS)})"
        )
    convolution = config.get("conv_type", "alignn")
    if convolution != "alignn":
        raise InvalidInputError(
            f"{path}: convolution {convolution!r} is not supported, only 'alignn'"
        )
    try:
        envelope = None
        if config.get("use_cutoff_function", False):
            envelope = CutoffEnvelope(
                inner_cutoff=float(config["inner_cutoff"]),
                exponent=int(config["exponent"]),
                multiply=bool(config["multiply_cutoff"]),
            )
        sizes = {
            key: int(config[key])
            for key in (
                "alignn_layers",
                "gcn_layers",
                "atom_input_features",
                "edge_input_features",
                "triplet_input_features",
                "embedding_features",
                "hidden_features",
            )
        }
    except KeyError as error:
        raise InvalidInputError(f"{path}: the model's config lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{path}: the model's config has a bad value ({error})") from error
    for name, size in sizes.items():
        if not 0 <= size <= _MOST_SIZE:
            raise InvalidInputError(
                f"{path}: the model's {name} is {size}, not from 0 to {_MOST_SIZE:,}"
            )
    if sizes["alignn_layers"] < 1:
        raise InvalidInputError(
            f"{path}: the model has no ALIGNN layers, so it has no bond-angle features"
        )
    return Architecture(norm=_NORMS[kind], envelope=envelope, **sizes)


def _graph_settings(path: Path, config: Mapping[str, Any]) -> GraphSettings:
    strategy = config.get("neighbor_strategy", "k-nearest")
    if strategy != "k-nearest":
        raise InvalidInputError(
            f"{path}: neighbor_strategy {strategy!r} is not supported, only 'k-nearest'"
        )
    # Configs older than a setting were trained with what alignn's graph builder then did.
    published = GraphSettings()
    try:
        return GraphSettings(
            cutoff=float(config.get("cutoff", published.cutoff)),
            max_neighbors=int(config.get("max_neighbors", published.max_neighbors)),
            use_canonize=bool(config.get("use_canonize", published.use_canonize)),
        )
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{path}: the graph's config has a bad value ({error})") from error


def _nothing(*_: object) -> None:
    """Stands in for what a checkpoint's learning-rate schedule would call."""


def _schedule_stand_ins() -> AbstractContextManager[None]:
    """Lets published checkpoints be read as data.

    They hold, beside the weights, a one-cycle schedule with a reference to one of its methods,
    which ``weights_only`` refuses. The names it goes by are tied to a function that does nothing.
    """
    names = ("builtins.getattr", "torch.optim.lr_scheduler.OneCycleLR")
    return torch.serialization.safe_globals([(_nothing, name) for name in names])


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            with _schedule_stand_ins():
                content = torch.load(path, map_location="cpu", weights_only=True)
    # Whatever a damaged file makes the readers raise, the user needs the file's name.
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise InvalidInputError(
            f"{path}: cannot be read as weights; fetch the file again "
            f"({type(error).__name__}: {reason[0] if reason else 'no message'})"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise InvalidInputError(f"{path}: holds no table of weights by name")
    return {str(key).removeprefix("module."): value for key, value in content.items()}
