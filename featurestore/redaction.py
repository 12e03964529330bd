"""Takes credentials out of text that is shown, logged or stored."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

HIDDEN = "[hidden]"

# Names of variables, options, fields and query parameters that hold a secret.
_SECRET_NAME = re.compile(
    r"secret|token(?!s|iz)|passw(?:or)?d|passwd|passphrase|credential|signature|bearer|"
    r"api[_-]?key|access[_-]?key|private[_-]?key|auth(?:orization)?$|(?:^|[_-])pwd$|(?:^|_)key$|"
    r"(?:^|_)sas(?:$|_)|cookie|connection[_-]?string",
    re.IGNORECASE,
)
# Such names that hold none: where a secret lies, and this package's own words.
_HARMLESS_NAME = re.compile(
    r"(?:file|path|dir|expiration|url|id_file)$|^(?:key|n_tokens|pwd|oldpwd)$", re.I
)

# Bounded, since text of any length goes through here.
_NAMED = (
    r"[\w.-]{0,40}(?:secret|passw(?:or)?d|passphrase|credential|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|session[_-]?token|security[_-]?token|auth[_-]?token|access[_-]?token"
    r"|refresh[_-]?token|account[_-]?key|connection[_-]?string|signature(?:provided)?)"
    r"(?:[_-]?(?:access)?[_-]?(?:key|value|id)){0,2}"
    r"|[\w-]{0,40}_token|x-amz-[\w-]{1,20}|awsaccesskeyid"
)
# Words of sentences, too: "a special token: it must …" shows no secret.
_BARE = "token|sig|pwd"
_VALUE = r"[^\s\\\"'<>&,;)}\]]+"
_IN_TEXT: tuple[tuple[str, str], ...] = (
    # user:password@ in a URI; a password may hold a slash, a question mark or an @
    (
        r"(?<=://)[^\s/@?#:\"'<>]{0,256}:(?!\d{1,5}/)[^\s\"'<>]{0,512}@(?=[\w.\[-])",
        f"{HIDDEN}@",
    ),
    (r"(?<=://)[^/\s@\"'<>?#]{1,512}@", f"{HIDDEN}@"),
    # schemes of authorization, before names: "Authorization: Bearer abc"
    (r"(?i)\b(bearer|basic|digest|token)\s+(?=[\w~+/.=-]{16})[\w~+/.=-]+", rf"\1 {HIDDEN}"),
    (
        r"(?i)(\bauthorization[\"']{0,2}\s*[=:]\s*[\"']{0,2})(?!bearer|basic|\[hidden)" + _VALUE,
        rf"\1{HIDDEN}",
    ),
    # "name": "a value with blanks"
    (
        rf"(?i)([\"'](?:{_NAMED}|{_BARE})\\?[\"']\s*:\s*\\?\")(?!\[hidden)[^\"\\\n]+",
        rf"\1{HIDDEN}",
    ),
    (rf"(?i)((?<![\w.-])(?:{_NAMED})\s*[=:]\s*[\"'])(?!\[hidden)[^\"'\n]+", rf"\1{HIDDEN}"),
    (rf"(?i)((?<![\w.-])(?:{_BARE})\s*=\s*[\"']?)(?!\[hidden)" + _VALUE, rf"\1{HIDDEN}"),
    (rf"(?i)((?<![\w.-])(?:{_BARE})\s*:\s*)[\w+/~.=-]{{16,}}", rf"\1{HIDDEN}"),
    # name=value, name: value and <Name>value</Name>, as object stores answer them
    (
        rf"(?i)((?<![\w.-])(?:{_NAMED})\\?[\"']?\s*(?:[=:>]|%3D)\s*\\?[\"']?)"
        r"(?!\[hidden|null\b|none\b|true\b|false\b)" + _VALUE,
        rf"\1{HIDDEN}",
    ),
    # a command's option and its value
    (
        r"(?i)(--[\w-]{0,40}(?:secret|token(?!s)|password|api-key|access-key)[\w-]{0,40}[ =]\"?)"
        r"(?!\[hidden)[^\s\"]+",
        rf"\1{HIDDEN}",
    ),
    # what is a credential by its form
    (
        r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}"
        r"|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[\w-]{10,}|sk-[A-Za-z0-9_-]{20,}"
        r"|pypi-[A-Za-z0-9_-]{20,}|glpat-[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}"
        r"|eyJ[A-Za-z0-9_-]{4,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+)",
        HIDDEN,
    ),
    (r"(?s)-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}-----|\Z)", HIDDEN),
)
# Shorter values are no credentials but placeholders, and words of every message.
_SHORTEST = 8


def redacted(text: str) -> str:
    """``text`` with the credentials of this process and all that looks like one hidden.

    The values of environment variables whose names speak of secrets (``*TOKEN*``, ``*SECRET*``,
    ``*KEY*``, ``*PASSWORD*``) are found wherever they are, and so are user and password in a URI,
    values that are named so, access keys, and signatures in an object store's answer.
    """
    return _hidden(text, _secrets(os.environ))


def _hidden(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _patterns():
        text = pattern.sub(instead, text)
    return text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compiled when the first text comes: most commands start without one."""
    return tuple((re.compile(pattern), instead) for pattern, instead in _IN_TEXT)


def without_secrets(value: Any) -> Any:
    """JSON values with the credentials in texts, and values of fields that are named so, hidden."""
    return _without(value, _secrets(os.environ))


def _without(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return _hidden(value, secrets)
    if isinstance(value, Mapping):
        return {
            _hidden(str(name), secrets): HIDDEN
            if isinstance(item, str) and item and is_secret_name(str(name))
            else _without(item, secrets)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without(item, secrets) for item in value]
    return value


def is_secret_name(name: str) -> bool:
    """Whether a variable, option or field of this name holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def _secrets(values: Mapping[str, str]) -> list[str]:
    """The longest first: one may be part of another."""
    found = {
        value for name, value in values.items() if len(value) >= _SHORTEST and is_secret_name(name)
    }
    return sorted(found, key=len, reverse=True)
