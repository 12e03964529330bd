"""Writes tiny ALIGNN checkpoints with random weights in the formats that are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch

from ingest.encoders.alignn.model import AlignnModel, Architecture


def write_tiny_alignn(
    folder: Path,
    seed: int = 0,
    hidden: int = 16,
    norm: Literal["batchnorm", "layernorm"] = "batchnorm",
    *,
    kind: str | None = None,
    use_canonize: bool | None = None,
) -> Path:
    """Write ``config.json`` and the weights of a two-plus-two-layer ALIGNN into ``folder``.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    seed : int
        Of the random weights.
    hidden : int
        Width; a vector has three times as many values.
    norm : {"batchnorm", "layernorm"}
        A property model with ``checkpoint_300.pt``, optimiser and schedule included, as DGL-trained
        ones are published; or a force field with ``best_model.pt``, a bare table of weights.
    kind : str, optional
        The config's model name, if it is another than the norm's usual one.
    use_canonize : bool, optional
        The config's setting; by default as published, true with BatchNorm, false with LayerNorm.

    Returns
    -------
    Path
        The file of weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    architecture = Architecture(
        norm=norm,
        alignn_layers=2,
        gcn_layers=2,
        atom_input_features=92,
        edge_input_features=80,
        triplet_input_features=40,
        embedding_features=max(4, hidden // 2),
        hidden_features=hidden,
    )
    batchnorm = norm == "batchnorm"
    model_config: dict[str, Any] = {
        "name": kind or ("alignn" if batchnorm else "alignn_atomwise"),
        "alignn_layers": architecture.alignn_layers,
        "gcn_layers": architecture.gcn_layers,
        "atom_input_features": architecture.atom_input_features,
        "edge_input_features": architecture.edge_input_features,
        "triplet_input_features": architecture.triplet_input_features,
        "embedding_features": architecture.embedding_features,
        "hidden_features": architecture.hidden_features,
        "output_features": 1,
        "link": "identity",
        "zero_inflated": False,
        "classification": False,
    }
    config = {
        "dataset": "user_data",
        "target": "target",
        "atom_features": "cgcnn",
        "neighbor_strategy": "k-nearest",
        "cutoff": 8.0,
        "max_neighbors": 12,
        "use_canonize": batchnorm if use_canonize is None else use_canonize,
        "model": model_config,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")

    generator = torch.Generator().manual_seed(seed)
    model = AlignnModel(architecture)
    state: dict[str, torch.Tensor] = {}
    for key, value in model.state_dict().items():
        if key.endswith("centers") or key.endswith("num_batches_tracked"):
            state[key] = value
        elif key.endswith("running_var"):
            state[key] = 0.5 + torch.rand(value.shape, generator=generator)
        elif value.ndim == 1 and key.endswith("weight"):
            state[key] = 0.8 + 0.4 * torch.rand(value.shape, generator=generator)
        elif value.ndim == 1:
            state[key] = 0.1 * torch.randn(value.shape, generator=generator)
        else:
            state[key] = torch.randn(value.shape, generator=generator) / value.shape[1] ** 0.5
    state["fc.weight"] = torch.randn((1, hidden), generator=generator) / hidden**0.5
    state["fc.bias"] = torch.zeros(1)

    if not batchnorm:
        path = folder / "best_model.pt"
        torch.save(state, path)
        return path
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=10)
    path = folder / "checkpoint_300.pt"
    torch.save(
        {
            "model": state,
            "optimizer": optimizer.state_dict(),
            # Older torch, which wrote the published files, kept this bound function in it.
            "lr_scheduler": {**schedule.state_dict(), "anneal_func": schedule._annealing_cos},
            "trainer": {"epoch_length": 1, "max_epochs": 300},
        },
        path,
    )
    return path
