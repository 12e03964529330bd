"""Kinds of settings that predictors have beside the plain ones: counts, numbers, lists, JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from featurestore.plugins import Setting


@dataclass(frozen=True)
class Count(Setting):
    """A whole number of at least 1."""

    @property
    def allowed(self) -> str:
        """The values it takes, in words."""
        return "a whole number of at least 1"

    def checked(self, value: Any, where: str = "") -> Any:
        """The value, raised about as by `Setting.checked`."""
        if super().checked(value, where) < 1:
            raise self._refusal(value, where)
        return value


@dataclass(frozen=True)
class Number(Setting):
    """A finite number, kept as it is given: a whole one stays whole, and so do models' ids."""

    def parse(self, text: str, where: str = "") -> Any:
        """The number that ``text`` stands for."""
        return self.checked(_json(text), where)

    def checked(self, value: Any, where: str = "") -> Any:
        """The value, raised about as by `Setting.checked`."""
        super().checked(value, where)
        return value


@dataclass(frozen=True)
class ListOf(Setting):
    """Several values of ``type``, at least one; a tuple, written as a JSON list."""

    @property
    def allowed(self) -> str:
        """The values it takes, in words."""
        what = "whole numbers" if self.type is int else "one or more"
        among = f" of {', '.join(map(repr, self.choices))}" if self.choices else ""
        return f"a JSON list of {what}{among}, as {self.written(self.default)}"

    @staticmethod
    def written(value: Any) -> str:
        """The value as it is written in an assignment."""
        return json.dumps(value)

    def parse(self, text: str, where: str = "") -> Any:
        """The values that ``text`` stands for."""
        return self.checked(_json(text), where)

    def checked(self, value: Any, where: str = "") -> Any:
        """The values as a tuple, raised about as by `Setting.checked`."""
        given = isinstance(value, list | tuple) and len(value)
        if not given or not all(type(item) is self.type for item in value):
            raise self._refusal(value, where)
        if any(item < 1 for item in value if self.type is int) or (
            self.choices and not set(value) <= set(self.choices)
        ):
            raise self._refusal(value, where)
        return tuple(value)


@dataclass(frozen=True)
class AnyValue(Setting):
    """A value of any type that JSON has, for what another library checks by itself.

    In an assignment what is no JSON is text; ``none`` is None, and a list becomes a tuple.
    """

    @property
    def allowed(self) -> str:
        """The values it takes, in words."""
        return "a number, text, true, false, none or a JSON list"

    @staticmethod
    def written(value: Any) -> str:
        """The value as it is written in an assignment."""
        return value if isinstance(value, str) else json.dumps(value).replace("null", "none")

    def parse(self, text: str, where: str = "") -> Any:
        """The value that ``text`` stands for."""
        return self.checked({"none": None, "None": None}.get(text.strip(), _json(text)), where)

    def checked(self, value: Any, where: str = "") -> Any:
        """The value, if JSON can hold it."""
        if isinstance(value, list | tuple):
            return tuple(self.checked(item, where) for item in value)
        plain = value is None or isinstance(value, bool | int | float | str)
        if not plain or (isinstance(value, float) and not math.isfinite(value)):
            raise self._refusal(value, where)
        return value


def _json(text: str) -> Any:
    """What JSON reads, else the text itself: the check that follows has the right words."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
