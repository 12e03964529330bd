"""Texts from elsewhere as users can use them: no credential, no path of who built a library."""

from __future__ import annotations

import re

from featurestore.redaction import redacted

# ", /home/runner/work/lance/lance/rust/lance-io/src/utils.rs:224:20", at the end or in between
_BUILT_AT = re.compile(
    r"[,;:]?\s*\(?(?:at |in )?[\w.@~+-]{0,80}(?:[/\\][\w.@+-]{1,80}){1,30}\.rs:\d+(?::\d+)?\)?"
)
_WRAPPED = re.compile(r"\bLanceError\(\w+\):\s*")
# What DuckDB advises are statements that a session refuses.
_ADVICE = re.compile(r"\n+(?:Possible solutions:|See also https?://).*", re.DOTALL)


def storable(text: str) -> str:
    """``text`` as UTF-8 can hold it: half of a surrogate pair as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def for_users(text: str) -> str:
    """``text`` without credentials, build paths of Rust and advice that cannot be followed here."""
    if ".rs:" in text:
        text = _BUILT_AT.sub("", text)
    return redacted(_ADVICE.sub("", _WRAPPED.sub("", text)))
