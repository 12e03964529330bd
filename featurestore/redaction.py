"""Takes credentials out of text that is shown, logged or stored."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

HIDDEN = "[hidden]"

# Names of variables, options and query parameters that hold a secret.
_SECRET_NAME = re.compile(r"secret|token|password|passwd|credential|signature|access_?key", re.I)

_PATTERNS = (
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"),
    # user:password@ in a URI
    re.compile(r"(?<=://)[^/\s@]+@"),
    # name=value, name: value and <Name>value</Name>, as object stores answer them
    re.compile(
        r"(?i)((?:aws[_-]?)?(?:secret[_-]?(?:access[_-]?)?key|session[_-]?token|"
        r"security[_-]?token|access[_-]?key[_-]?id|signature(?:provided)?|x-amz-credential|"
        r"authorization|password)"
        r"\"?\s*(?:[=:>]|%3D)\s*\"?)([^\s\"<>&,;)}]+)"
    ),
)
# Shorter values are no credentials but placeholders, and words of every message.
_SHORTEST = 8


def redacted(text: str) -> str:
    """``text`` with the credentials of this process and all that looks like one hidden.

    The values of environment variables whose names speak of secrets are found wherever they are,
    and so are access key ids, user and password in a URI, and signatures in an object store's
    answer.
    """
    for secret in sorted(_secrets(os.environ), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    first, second, third = _PATTERNS
    text = first.sub(HIDDEN, text)
    text = second.sub(f"{HIDDEN}@", text)
    return third.sub(lambda found: found[1] + HIDDEN, text)


def _secrets(values: Mapping[str, str]) -> set[str]:
    return {
        value
        for name, value in values.items()
        if name.startswith("AWS_")
        and _SECRET_NAME.search(name)
        and "FILE" not in name
        and len(value) >= _SHORTEST
    }
