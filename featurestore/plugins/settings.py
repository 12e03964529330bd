"""What can be chosen about a part: named values, each with a type, a default and a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from featurestore.errors import InvalidInputError, UnknownNameError

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_NONE = "none"


@dataclass(frozen=True)
class Setting:
    """One choice of a part.

    Parameters
    ----------
    name : str
        A Python name: the part's maker and the command line know it by this.
    type : {int, float, bool, str}
        What its values are.
    default : value of that type or None
        None stands for "left to the part", and is written ``none``.
    help : str
        A sentence.
    choices : tuple, optional
        The only values there are.
    identity : bool
        Whether another value makes other results and belongs into the fingerprint; false for what
        only says where or how fast the work is done, such as a device.

    Raises
    ------
    InvalidInputError
        If the name, the default or a choice does not suit.
    """

    name: str
    type: type[int] | type[float] | type[bool] | type[str]
    default: Any
    help: str
    choices: tuple[Any, ...] = ()
    identity: bool = True

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InvalidInputError(f"a setting cannot be called {self.name!r}: use a Python name")
        if self.type not in (int, float, bool, str):
            raise InvalidInputError(f"setting {self.name!r}: {self.type!r} is no type of a setting")
        for choice in self.choices:
            if type(choice) is not self.type:
                raise InvalidInputError(
                    f"setting {self.name!r}: the choice {choice!r} is no {self.type.__name__}"
                )
        self.checked(self.default, "its default")

    @property
    def allowed(self) -> str:
        """The values it takes, in words."""
        if self.choices:
            words = "one of " + ", ".join(map(self.written, self.choices))
        else:
            words = {
                int: "a whole number",
                float: "a finite number",
                bool: "true or false",
                str: "text",
            }[self.type]
        return f"{words}, or {_NONE}" if self.default is None else words

    @staticmethod
    def written(value: Any) -> str:
        """The value as it is written in an assignment."""
        if value is None:
            return _NONE
        return str(value).lower() if isinstance(value, bool) else str(value)

    def parse(self, text: str, where: str = "") -> Any:
        """The value that ``text`` stands for.

        Raises
        ------
        InvalidInputError
            Naming the setting, its type and the allowed values.
        """
        value: Any = text
        if text == _NONE and self.default is None:
            return None
        try:
            if self.type is bool:
                value = _TRUTH[text.strip().lower()]
            elif self.type is not str:
                value = self.type(text)
        except (KeyError, ValueError):
            raise self._refusal(text, where) from None
        return self.checked(value, where)

    def checked(self, value: Any, where: str = "") -> Any:
        """The value, a whole number made a float where floats are asked for.

        Raises
        ------
        InvalidInputError
            As for `parse`.
        """
        if value is None and self.default is None:
            return None
        if self.type is float and type(value) is int:
            value = float(value)
        if type(value) is not self.type:
            raise self._refusal(value, where)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refusal(value, where)
        if self.choices and value not in self.choices:
            raise self._refusal(value, where)
        return value

    def _refusal(self, value: Any, where: str) -> InvalidInputError:
        of = f" of {where}" if where else ""
        kind = "choice" if self.choices else self.type.__name__
        return InvalidInputError(
            f"the setting {self.name!r}{of} ({kind}) takes {self.allowed}; got {value!r}"
        )


class HasSettings(Protocol):
    """A part, as far as its settings go."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Its choices."""
        ...


def parse_settings(part: HasSettings, assignments: Sequence[str]) -> dict[str, Any]:
    """The values that ``NAME=VALUE`` assignments give, typed and checked; only those given.

    Raises
    ------
    UnknownNameError
        If the part has no such setting.
    InvalidInputError
        If an assignment has no ``=``, a setting is given twice, or a value does not suit; the
        message names the setting, its type and the allowed values.
    """
    given: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip()
        if not equals:
            raise InvalidInputError(f"{assignment!r} is no setting; write NAME=VALUE")
        if name in given:
            raise InvalidInputError(f"the setting {name!r} of {part.name!r} is given twice")
        given[name] = _setting(part, name).parse(text, repr(part.name))
    return given


def checked_settings(part: HasSettings, given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for every setting of the part, in the part's order: what is given, else the default.

    Raises
    ------
    UnknownNameError, InvalidInputError
        As for `parse_settings`.
    """
    checked = {
        name: _setting(part, name).checked(value, repr(part.name)) for name, value in given.items()
    }
    return {one.name: checked.get(one.name, one.default) for one in part.settings}


def _setting(part: HasSettings, name: str) -> Setting:
    for setting in part.settings:
        if setting.name == name:
            return setting
    if not part.settings:
        raise InvalidInputError(f"{part.name!r} takes no settings; got {name!r}")
    raise UnknownNameError(
        f"setting of {part.name!r}:", name, [setting.name for setting in part.settings]
    )
