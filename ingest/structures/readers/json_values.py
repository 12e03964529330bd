"""Numbers and arrays of plain JSON data, as the forms of several libraries write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.structures.refusals import UnreadableFileError

#: Keys under which a document names its material.
IDS = ("material_id", "jid", "task_id", "entry_id", "id")


def plain_list(given: Any) -> Any:
    """The list that an array stands for; the shape that ASE's form states must be its own.

    Raises
    ------
    UnreadableFileError
        If it is not.
    """
    if not (isinstance(given, dict) and "__ndarray__" in given):
        return given
    stated = given["__ndarray__"]
    if not (isinstance(stated, list) and len(stated) == 3 and isinstance(stated[2], list)):
        raise UnreadableFileError("an array is not given as shape, type and values")
    shape, _, values = stated
    whole = isinstance(shape, list) and all(isinstance(one, int) for one in shape)
    if not whole or math.prod(shape) != len(values):
        raise UnreadableFileError(
            f"an array is stated to have shape {str(shape)[:40]} and has {len(values)} values"
        )
    return values


def number_array(given: Any, shape: tuple[int, ...], what: str) -> npt.NDArray[np.float64]:
    """An array of a shape; ``what`` it is says the error.

    Raises
    ------
    UnreadableFileError
        If it is something else.
    """
    if isinstance(given, dict) and "data" in given:  # an array of NumPy as monty writes it
        given = given["data"]
    values = plain_list(given)
    try:
        array = np.array(values, dtype=np.float64)
        if array.size != math.prod(shape):
            raise ValueError
        return array.reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableFileError(
            f"{what} should be {' × '.join(map(str, shape))} numbers"
        ) from error


def numbers_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that stand beside a structure; those the registry knows are targets."""
    return {
        key: value
        for key, value in document.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and key not in IDS
    }
