"""One file for the models of a seed group: what is in it, and what is checked in reading one.

The file is in the safetensors format, which holds arrays and one JSON header, and nothing that
could be run. Its arrays are each model's weights, as the safetensors bytes that the store keeps,
and the training materials' features and targets. Its metadata has three values: ``format``;
``content``, a JSON object with the models' rows, their feature list, and the rows of the encoders
and generators, whose ids are hashes of their fingerprints; and ``sha256`` of content and arrays,
by which a file that was damaged on its way is known.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.classes import classes_of
from featurestore.errors import InvalidInputError
from featurestore.files import read_regular
from featurestore.identity import sha256_hex, versioned_id
from featurestore.output.rows import atomic_path
from featurestore.plugins.settings import checked_settings
from featurestore.tables.soundness import parsed_object, problem_of
from featurestore.views.features import VectorFeature
from featurestore.views.parameters import ViewParameters
from train.crossfit.class_sets import ClassCrossCalibration
from train.crossfit.predictor import CrossFitted
from train.forecasts.classes import ClassCalibration
from train.forecasts.knowledge import Knowledge
from train.predictors.base import Predictor
from train.predictors.registry import predictor_part, recipe_names, restored
from train.sharing.knowledge import from_arrays

FORMAT = "materials-featurestore model 1"
#: Bytes of a file, and of its header.
MOST_BYTES = 2 * 2**30
MOST_HEADER = 64 * 2**20
MOST_MODELS = 64
#: The columns of ``models`` that travel; others are of the store that a model is in.
MODEL_COLUMNS = (
    *("model_id", "predictor", "property", "unit", "features"),
    *("generator_id", "structure_encoder", "text_encoder", "variant", "split", "seed"),
    *("settings", "view_parameters", "view_fingerprint", "metrics"),
    *("inputs", "feature_set", "view_where"),
)
ENCODER_COLUMNS = ("encoder_id", "name", "kind", "dimension", "segments", "fingerprint")
GENERATOR_COLUMNS = ("generator_id", "source", "tags", "reference_tags", "fingerprint")
_DTYPES = {"U8", "F32", "F64"}


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A checked file.

    Parameters
    ----------
    models : tuple of dict
        Rows of the table ``models``, with their weights, those that `MODEL_COLUMNS` name.
    encoders, generators : tuple of dict
        Rows of what makes the models' features.
    knowledge : Knowledge
        What the models know of their training materials.
    content : dict
        The file's JSON.
    arrays : dict of str to ndarray
        Of the knowledge.
    sha256 : str
        Of the file.
    """

    models: tuple[dict[str, Any], ...]
    encoders: tuple[dict[str, Any], ...]
    generators: tuple[dict[str, Any], ...]
    knowledge: Knowledge
    content: dict[str, Any] = field(repr=False)
    arrays: dict[str, npt.NDArray[Any]] = field(repr=False)
    sha256: str


def write_model_file(
    path: Path,
    content: Mapping[str, Any],
    weights: list[bytes],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Write a file, which appears whole or not at all.

    Raises
    ------
    InvalidInputError
        If it would be larger than what is read.
    StorageError
        If it cannot be written.
    """
    named = {f"knowledge.{name}": value for name, value in arrays.items()}
    named |= {f"weights.{i}": np.frombuffer(data, np.uint8) for i, data in enumerate(weights)}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    metadata = {"format": FORMAT, "content": text, "sha256": content_sha256(text, named)}
    data = save_arrays(named, metadata)
    if len(data) > MOST_BYTES:
        raise InvalidInputError(
            f"the file would have {len(data) / 2**30:.1f} GiB, and {MOST_BYTES / 2**30:.0f} are "
            "read: the models' training fold is too large to travel with them"
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def content_sha256(text: str, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of a file's JSON, and of the name, type, shape and bytes of each array."""
    digest = hashlib.sha256(text.encode("utf-8"))
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode("utf-8"))
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def read_model_file(path: Path) -> ModelFile:
    """Read and check a file that a stranger may have written; nothing in it is run.

    Raises
    ------
    InvalidInputError
        If it is no such file, is too large, or something in it is not as it is written here; the
        message says what.
    """
    data = read_regular(path, MOST_BYTES)
    metadata = _header(path, data)
    try:
        content = parsed_object(metadata["content"])
        arrays = load_arrays(data)
        if metadata["sha256"] != content_sha256(metadata["content"], arrays):
            raise InvalidInputError(
                "its bytes are not those that were exported (by their SHA-256): copy it again"
            )
        return _checked(content, arrays, sha256_hex(data))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} is refused: {error}") from error
    # Whatever wrong bytes and types make readers raise.
    except Exception as error:
        raise InvalidInputError(
            f"{path} is refused: it is damaged or was not written by featurestore models export "
            f"({type(error).__name__}: {error})"
        ) from error


def _header(path: Path, data: bytes) -> dict[str, str]:
    """The metadata, after checking sizes and kinds of all arrays."""
    refused = f"{path} is no file of featurestore models export"
    if len(data) < 8:
        raise InvalidInputError(refused)
    (size,) = struct.unpack("<Q", data[:8])
    if size > min(MOST_HEADER, len(data) - 8):
        raise InvalidInputError(
            f"{refused}, or is cut off: its header says {size:,} bytes, the file has {len(data):,}"
        )
    try:
        header = json.loads(data[8 : 8 + size].decode("utf-8"))
        metadata = header.pop("__metadata__")
        kinds = {one["dtype"] for one in header.values()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(f"{refused}: its header is none ({error})") from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise InvalidInputError(f"{refused}: its format is not {FORMAT!r}")
    if set(metadata) != {"format", "content", "sha256"} or not kinds <= _DTYPES:
        raise InvalidInputError(f"{refused}: it holds something else")
    return metadata


def _checked(
    content: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], sha256: str
) -> ModelFile:
    rows = content["models"]
    if not 1 <= len(rows) <= MOST_MODELS:
        raise InvalidInputError(f"it holds {len(rows)} models, and 1 to {MOST_MODELS} are read")
    knowledge_arrays = {name: arrays.pop(f"knowledge.{name}") for name in ("features", "targets")}
    if set(arrays) != {f"weights.{i}" for i in range(len(rows))}:
        raise InvalidInputError("its arrays are not the weights of its models")
    encoders = tuple(_row("encoders", row, ENCODER_COLUMNS) for row in content["encoders"])
    generators = tuple(_row("generators", row, GENERATOR_COLUMNS) for row in content["generators"])
    for row, key, name in (
        *((row, "encoder_id", row["name"]) for row in encoders),
        *((row, "generator_id", row["source"]) for row in generators),
    ):
        expected = versioned_id(name, parsed_object(row["fingerprint"]))
        if row[key] != expected:
            raise InvalidInputError(
                f"{row[key]!r} is not the id of its fingerprint, which is {expected}"
            )
    models, width, folds = [], 0, set()
    for place, row in enumerate(rows):
        weights = arrays[f"weights.{place}"].tobytes()
        checked = _row("models", row, MODEL_COLUMNS)
        predictor = _restored(checked, weights)
        width = predictor.n_features
        folds.add(len(predictor.of_fold) if isinstance(predictor, CrossFitted) else 0)
        models.append(checked | {"weights": weights})
    parameters = [ViewParameters.from_dict(parsed_object(row["view_parameters"])) for row in models]
    if any(one.identity() != parameters[0].identity() for one in parameters):
        raise InvalidInputError("its models are not of one training view")
    _check_features(parameters[0], encoders, generators, width)
    knowledge = from_arrays(knowledge_arrays, content["knowledge"], width)
    _check_classes(parameters[0], knowledge)
    if folds != {0 if knowledge.cross is None else knowledge.cross.folds}:
        raise InvalidInputError("its out-of-fold errors are not those of its models' folds")
    return ModelFile(
        models=tuple(models),
        encoders=encoders,
        generators=generators,
        knowledge=knowledge,
        content=content,
        arrays=knowledge_arrays,
        sha256=sha256,
    )


def _check_classes(parameters: ViewParameters, knowledge: Knowledge) -> None:
    """Raise unless what is known of the training materials is of what the models are of."""
    n = len(parameters.classes)
    if bool(n) != isinstance(knowledge.calibration, ClassCalibration):
        of, models = ("numbers", "classes") if n else ("classes", "numbers")
        raise InvalidInputError(f"its calibration is of {of}, and its models are of {models}")
    cross = knowledge.cross
    if isinstance(cross, ClassCrossCalibration) and (cross.targets >= n).any():
        raise InvalidInputError(f"an out-of-fold error in it is of none of the {n} classes")
    if n and (knowledge.domain.targets >= n).any():
        raise InvalidInputError(f"a target of its training materials is none of the {n} classes")


def _row(table: str, row: Any, columns: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(row, dict) or set(row) != set(columns):
        raise InvalidInputError(f"a row of {table} in it has other columns")
    problem = problem_of(table, row)
    if problem is not None:
        raise InvalidInputError(f"a row of {table} in it is unsound: {problem}")
    return row


def _restored(row: Mapping[str, Any], weights: bytes) -> Predictor:
    """The predictor of a row, its name and settings being among those that are declared."""
    name, settings = row["predictor"], parsed_object(row["settings"])
    if name not in recipe_names():
        raise InvalidInputError(
            f"its predictor {name!r} is none that an installed package registers "
            f"({', '.join(recipe_names())})"
        )
    classes = bool(classes_of(row["unit"]))
    part = predictor_part(name, classes).complete(settings)
    checked_settings(part, {k: _as_setting(v) for k, v in settings.items()})
    for one in ("hidden_features", "width", "widths"):
        values = settings.get(one, 0)
        largest = max(values) if isinstance(values, list) else values
        # A square layer of that width is among the weights, with two bytes a number at least.
        if 2 * largest**2 > max(len(weights), 2**20):
            raise InvalidInputError(f"its setting {one} = {largest} is larger than its weights")
    return restored(name, settings, weights, classes)


def _as_setting(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_features(
    parameters: ViewParameters,
    encoders: tuple[dict[str, Any], ...],
    generators: tuple[dict[str, Any], ...],
    width: int,
) -> None:
    """Raise unless the encoders and generators of the features, and these alone, are there."""
    vectors = [part for part in parameters.parts if isinstance(part, VectorFeature)]
    by_id = {row["encoder_id"]: row for row in encoders}
    if set(by_id) != {part.encoder_id for part in vectors}:
        raise InvalidInputError("its encoders are not those of its features")
    if {row["generator_id"] for row in generators} != {
        part.generator_id for part in vectors if part.generator_id is not None
    }:
        raise InvalidInputError("its generators are not those of its features")
    columns = 0
    for part in parameters.parts:
        if not isinstance(part, VectorFeature):
            columns += 1
            continue
        row = by_id[part.encoder_id]
        if row["kind"] != part.kind:
            raise InvalidInputError(f"{part.encoder_id} encodes {row['kind']}s")
        spans = {one["name"]: one["stop"] - one["start"] for one in row["segments"]}
        columns += row["dimension"] if part.segment is None else spans[part.segment]
    if width not in (0, columns):
        raise InvalidInputError(f"its models take {width} features, its encoders make {columns}")
