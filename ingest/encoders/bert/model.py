"""The transformer itself, built from ``config.json`` and loaded strictly from one weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from featurestore.errors import InvalidInputError
from featurestore.files import check_regular, read_json

WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")

# Only what changes a vector: a copy of the same model with other notes in its config is the same.
_ARCHITECTURE = (
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "max_position_embeddings",
    "vocab_size",
    "pad_token_id",
    "relative_attention_num_buckets",
)

# Largest size that a configuration may give, and bytes of weights.
_MOST_SIZE = 10_000_000
_MOST_WEIGHTS = 32 * 2**30
# Parameters a byte of the file can stand for, with a wide margin.
_BYTES_MARGIN = 2
_ALWAYS_FINE = 10_000_000


@dataclass(frozen=True)
class Transformer:
    """A loaded model.

    Parameters
    ----------
    module : torch.nn.Module
        Maps ``input_ids`` and ``attention_mask`` to ``last_hidden_state``; cut off after the
        layer that was asked for.
    config : transformers.PretrainedConfig
        The configuration, of the whole model.
    architecture : dict
        The values of the configuration that change a vector.
    max_positions : int
        The longest input, special tokens included.
    """

    module: torch.nn.Module
    config: Any
    architecture: dict[str, Any]
    max_positions: int


def weights_file(folder: Path) -> Path:
    """The weights file in a folder; safetensors where there are both kinds."""
    for name in WEIGHTS_FILES:
        if (folder / name).is_file():
            return folder / name
    raise InvalidInputError(f"{folder} has no weights: {' or '.join(WEIGHTS_FILES)} is needed")


def load_transformer(folder: Path, layer: int) -> Transformer:
    """Build the encoder part of a BERT or MPNet model and load its weights, key by key.

    Parameters
    ----------
    folder : Path
        Holds ``config.json`` and a weights file.
    layer : int
        Whose output is wanted: 0 the embeddings, 1 the first layer, -1 the last.

    Raises
    ------
    InvalidInputError
        If the configuration is unreadable or of another family; if the weights are damaged, hold
        NaN or infinity, or do not fit the configuration key by key; if there is no such layer.
    """
    config = _read_config(folder)
    _check_size(folder, config)
    module = _build(folder, config)
    n_layers = config.num_hidden_layers
    keep = layer if layer >= 0 else n_layers + 1 + layer
    if not 0 <= keep <= n_layers:
        raise InvalidInputError(
            f"{folder} has {n_layers} layers: the layer is 0 (embeddings) to {n_layers}, or -1 "
            f"(last) to {-n_layers - 1}, not {layer}"
        )
    path = weights_file(folder)
    state = _normalise(_read_state(path), config.model_type)
    _load_strictly(module, state, path)
    encoder: Any = module.encoder
    encoder.layer = encoder.layer[:keep]
    return _told(module, config)


def built(values: Mapping[str, Any]) -> Transformer:
    """A model with random weights, of the configuration that ``config.json`` would hold.

    Raises
    ------
    InvalidInputError
        If no model can be built of it.
    """
    here = Path("a new model")
    config = _config(here, dict(values))
    return _told(_build(here, config), config)


def _told(module: torch.nn.Module, config: Any) -> Transformer:
    values = config.to_dict()
    offset = config.pad_token_id + 1 if config.model_type == "mpnet" else 0
    return Transformer(
        module=module.eval(),
        config=config,
        architecture={key: values[key] for key in _ARCHITECTURE if key in values},
        max_positions=config.max_position_embeddings - offset,
    )


def _read_config(folder: Path) -> Any:
    path = folder / "config.json"
    return _config(path, read_json(path))


def _config(path: Path, values: dict[str, Any]) -> Any:
    from transformers import BertConfig, MPNetConfig

    families = {"bert": BertConfig, "mpnet": MPNetConfig}
    try:
        # SciBERT and other conversions of 2019 do not say what they are.
        family = values.pop("model_type", "bert")
        if family in families:
            return families[family](**values)
    except Exception as error:  # transformers raises its own class for a value it refuses
        raise InvalidInputError(f"{path} cannot be used: {error}") from error
    raise InvalidInputError(
        f"{path} describes a {family!r} model; only {' and '.join(families)} models can be loaded"
    )


def _check_size(folder: Path, config: Any) -> None:
    """Raise if a model of these sizes cannot come from its weights: building it would take long."""
    path = weights_file(folder)
    check_regular(path, _MOST_WEIGHTS)
    names = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads")
    sizes: dict[str, Any] = {name: getattr(config, name, None) for name in (*names, "vocab_size")}
    for name, size in sizes.items():
        if not isinstance(size, int) or not 0 <= size <= _MOST_SIZE:
            raise InvalidInputError(f"{folder / 'config.json'}: {name} is {size!r:.40}")
    hidden, layers = sizes["hidden_size"], sizes["num_hidden_layers"]
    parameters = sizes["vocab_size"] * hidden
    parameters += layers * (4 * hidden**2 + 2 * hidden * sizes["intermediate_size"])
    n_bytes = path.stat().st_size
    if parameters > max(_ALWAYS_FINE, _BYTES_MARGIN * n_bytes):
        raise InvalidInputError(
            f"{folder / 'config.json'} asks for about {parameters:.3g} parameters, the weights "
            f"have {n_bytes:,} bytes"
        )


def _build(folder: Path, config: Any) -> torch.nn.Module:
    from transformers import BertModel, MPNetModel

    # transformers has no SDPA for MPNet, whose attention scores carry a bias by distance.
    bert = config.model_type == "bert"
    config._attn_implementation = "sdpa" if bert else "eager"
    try:
        module: torch.nn.Module = (BertModel if bert else MPNetModel)(
            config, add_pooling_layer=False
        )
    # Sizes that do not fit each other make torch raise any of these.
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError, KeyError) as error:
        raise InvalidInputError(
            f"{folder / 'config.json'} describes no model that can be built: {error}"
        ) from error
    return module


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    except Exception as error:  # each reader has its own classes for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInputError(
            f"{path} cannot be read as weights: {reason}; fetch it again"
        ) from error


def _normalise(state: dict[str, torch.Tensor], family: str) -> dict[str, torch.Tensor]:
    """Keys of the bare encoder: without the model's prefix, without heads, in today's names."""
    prefix = family + "."
    prefixed = any(key.startswith(prefix) for key in state)
    kept = {}
    for key, value in state.items():
        if prefixed and not key.startswith(prefix):
            continue
        key = key.removeprefix(prefix)
        if key.startswith(("embeddings.", "encoder.")) and not key.endswith(".position_ids"):
            key = key.replace("LayerNorm.gamma", "LayerNorm.weight")
            kept[key.replace("LayerNorm.beta", "LayerNorm.bias")] = value.float()
    return kept


def _load_strictly(module: torch.nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    misfit = f"{path} does not fit config.json beside it:"
    expected = {key: value.shape for key, value in module.named_parameters()}
    for what, keys in (
        ("it lacks", sorted(expected.keys() - state.keys())),
        ("it has in excess", sorted(state.keys() - expected.keys())),
    ):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InvalidInputError(f"{misfit} {what} {', '.join(keys[:3])}{more}")
    for key, shape in expected.items():
        if state[key].shape != shape:
            raise InvalidInputError(
                f"{misfit} {key} has shape {tuple(state[key].shape)}, expected {tuple(shape)}"
            )
    for key, value in state.items():
        if not bool(torch.isfinite(value).all()):
            raise InvalidInputError(f"{path}: {key} holds NaN or infinite values; fetch it again")
    # Not strict, because index buffers such as position_ids are in no weights file.
    module.load_state_dict(state, strict=False)
