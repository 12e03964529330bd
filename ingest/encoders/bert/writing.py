"""Writes a model of the BERT family that was trained here into a folder like any published one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from featurestore.files import read_json
from featurestore.output.rows import atomic_path
from ingest.encoders.bert.tokens import TOKENIZER_FILES


def write_model(
    folder: Path,
    module: torch.nn.Module,
    config: Mapping[str, Any],
    tokenizer: Path,
    further: Mapping[str, Any],
) -> None:
    """Write configuration, tokenizer and, last, the weights.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    module : torch.nn.Module
        The bare encoder.
    config : mapping
        Of the architecture, as in ``config.json``.
    tokenizer : Path
        Folder of the tokenizer's files.
    further : mapping
        More entries of ``config.json``: how it was trained, and which numbers it reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if (tokenizer / name).is_file() and tokenizer != folder:
            with atomic_path(folder / name) as path:
                shutil.copyfile(tokenizer / name, path)
    with atomic_path(folder / "config.json") as path:
        told = json.dumps({**config, **further}, indent=1, ensure_ascii=False)
        path.write_text(told + "\n", encoding="utf-8")
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    with atomic_path(folder / "model.safetensors") as path:
        path.write_bytes(save(state, metadata={"format": "pt"}))


def read_config(folder: Path) -> dict[str, Any]:
    """The content of the folder's ``config.json``.

    Raises
    ------
    InvalidInputError
        If it cannot be read.
    """
    return dict(read_json(folder / "config.json"))
