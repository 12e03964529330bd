"""Folders of weights for the fuzzer: one file of a tiny BERT is replaced by what a grammar made."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.torture_files import reach_tests

_FILES = (
    "config.json",
    "tokenizer_config.json",
    "vocab.txt",
    "model.safetensors",
    "tokenizer.json",
)
_TEXT = "NaCl crystallizes in the cubic space group."


def safetensors(random: Random, tensors: Sequence[tuple[str, str, list[int]]]) -> bytes:
    """Weights whose header says other sizes, types and places than it should, now and then."""
    header: dict[str, Any] = {}
    sizes = {"F32": 4, "F16": 2, "I64": 8, "BF16": 2}
    place = 0
    for name, kind, shape in tensors:
        length = sizes.get(kind, 4)
        for side in shape:
            length *= side
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + length]}
        place += length
    for _ in range(random.choice((0, 1, 1, 2))):
        one = header[random.choice(list(header))]
        if not isinstance(one, dict):
            continue
        key = random.choice(("dtype", "shape", "data_offsets"))
        one[key] = random.choice(
            ("F64", "F4", [], [0], [-1], [2**40], [2**62, 4], [place, 0], None, "x", [[1]], 1.5)
        )
    if random.random() < 0.1:
        header["__metadata__"] = random.choice(({"format": "pt"}, [], {"a": 1}, None))
    text = json.dumps(header).encode()
    said = len(text) if random.random() < 0.85 else random.choice((0, 8, 2**40, len(text) + 9))
    return struct.pack("<Q", said) + text + bytes(place if random.random() < 0.9 else place // 2)


def settings(random: Random, sound: dict[str, Any]) -> bytes:
    """The JSON of a model's configuration or tokenizer with one to three odd members."""
    document = json.loads(json.dumps(sound))
    for _ in range(random.randint(1, 3)):
        key = random.choice(
            [*document, "auto_map", "architectures", "quantization_config", "dtype"]
        )
        document[key] = random.choice(
            (
                None,
                -1,
                0,
                1e9,
                10**12,
                "x",
                [],
                {},
                [1],
                {"a": {"b": 1}},
                True,
                "../x",
                float("nan"),
            )
        )
    return json.dumps(document).encode()


@cache
def _sound() -> Path:
    """A folder with a tiny BERT, made once."""
    import tempfile

    reach_tests()
    from tiny_bert import write_tiny_bert

    return write_tiny_bert(Path(tempfile.mkdtemp(prefix="fuzz-")) / "sound", layers=1, hidden=8)


@cache
def _tensors() -> tuple[tuple[str, str, list[int]], ...]:
    data = (_sound() / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    header.pop("__metadata__", None)
    return tuple((name, one["dtype"], one["shape"]) for name, one in header.items())


def weights_file(random: Random) -> bytes:
    """The number of a file of the folder, as one byte, and its content."""
    place = random.randrange(len(_FILES))
    name = _FILES[place]
    if name == "model.safetensors":
        data = safetensors(random, _tensors())
    elif name == "vocab.txt":
        words = (_sound() / name).read_text("utf-8").splitlines()
        for _ in range(random.randint(1, 30)):
            words[random.randrange(len(words))] = random.choice(
                ("", "[CLS]", "\x00", "é" * 999, "a")
            )
        data = "\n".join(words[: random.choice((len(words), 3, 0))]).encode()
    elif name == "tokenizer.json":
        data = settings(random, {"version": "1.0", "model": {"type": "WordPiece", "vocab": {}}})
    else:
        data = settings(random, json.loads((_sound() / name).read_text("utf-8")))
    return bytes([place]) + data


def read_weights(path: Path) -> bool:
    """Load an encoder from the folder, and encode a text if it loads.

    Raises
    ------
    FeatureStoreError
        If it is refused.
    Violation
        If a vector is not finite.
    """
    from benchmarks.fuzz import Violation
    from ingest.encoders.load import load_encoder

    data = path.read_bytes()
    folder = path.with_name(f"{path.name}.d")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_sound(), folder)
    (folder / _FILES[data[0] % len(_FILES) if data else 0]).write_bytes(data[1:])
    encoder: Any = load_encoder(str(folder))
    [found] = encoder.encode([_TEXT])
    vector = getattr(found, "vector", None)
    if vector is None:
        return False
    if not all(abs(float(value)) < float("inf") for value in vector):
        raise Violation("a vector is not finite")
    return True
