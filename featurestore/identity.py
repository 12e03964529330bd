"""Content identity: equal content has equal ids, whatever file or run it came from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any


def sha256_hex(data: bytes) -> str:
    """The lower-case hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def text_id(text: str) -> str:
    """The identity of an exact text; DuckDB's ``sha256(text)`` gives the same string."""
    return sha256_hex(text.encode("utf-8"))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space, so that equal values are equal strings.

    Raises
    ------
    ValueError
        If ``value`` holds a NaN or an infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(parts: Mapping[str, Any]) -> str:
    """The SHA-256 of the canonical JSON of ``parts``."""
    return sha256_hex(canonical_json(parts).encode("utf-8"))


def versioned_id(name: str, parts: Mapping[str, Any]) -> str:
    """``name`` as an SQL identifier, followed by ten digits of the fingerprint of ``parts``."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"
    return f"{slug}_{fingerprint(parts)[:10]}"
