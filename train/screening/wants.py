"""What is wanted of a property: a window of values, classes, or as much or little as possible."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError
from featurestore.registry import PropertyRegistry

Floats = npt.NDArray[np.float64]

LARGEST, SMALLEST = "largest", "smallest"

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_UNIT = r"(?:\s+(?P<unit>(?!(?:and|or)\b)[^\s<>=!][^<>=]*))?"
_BETWEEN = re.compile(
    rf"(?P<name>\S+)\s+between\s+(?P<low>{_NUMBER})\s+and\s+(?P<high>{_NUMBER}){_UNIT}",
    re.IGNORECASE,
)
_BOUND = re.compile(rf"(?P<name>[^\s<>=]+)\s*(?P<sign><=|>=|<|>|=)\s*(?P<value>{_NUMBER}){_UNIT}")
_GOAL = re.compile(r"(?P<goal>maximi[sz]e|minimi[sz]e)\s+(?P<name>[^\s<>=]+)", re.IGNORECASE)
_CLASS = re.compile(r"(?P<name>[^\s<>=]+)\s*=\s*(?:'(?P<quoted>[^']+)'|(?P<word>[^\s'<>=].*))")
_CLASSES = re.compile(r"(?P<name>[^\s<>=]+)\s+in\s*\((?P<listed>[^()]+)\)", re.IGNORECASE)
_FORMS = (
    "'P between A and B', 'P < B', 'P <= B', 'P > A', 'P >= A', 'maximise P' or 'minimise P', "
    "with a property's name for P and numbers for A and B; of a property of classes 'P = C' or "
    "'P in (C, D)', in quotes where a class is called like a number"
)


@dataclass(frozen=True)
class Want:
    """A window of a property's values, some of its classes, or its largest or smallest value.

    Parameters
    ----------
    property : str
        Whose value.
    low, high : float
        Ends of the window; infinite where it has none.
    open_low, open_high : bool
        Whether the end itself is outside.
    goal : {"largest", "smallest"} or None
        In place of a window.
    unit : str or None
        Of the numbers, where it was said.
    classes : tuple of str
        In place of a window: those that are wanted.
    places : frozenset of int
        Theirs among the property's, see `train.screening.classes.resolved`.
    """

    property: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    goal: str | None = None
    unit: str | None = None
    classes: tuple[str, ...] = ()
    places: frozenset[int] = frozenset()

    @classmethod
    def parsed(cls, text: str) -> Want:
        """What a text such as ``"mbj_bandgap between 1.1 and 1.6"`` wants.

        Raises
        ------
        InvalidInputError
            If it has another form, or its window no width.
        """
        words = text.strip()
        if found := _GOAL.fullmatch(words):
            goal = LARGEST if found["goal"].lower().startswith("max") else SMALLEST
            return cls(found["name"], goal=goal)
        if found := _BETWEEN.fullmatch(words):
            low, high = _finite(found["low"]), _finite(found["high"])
            want = cls(found["name"], low, high, unit=found["unit"])
        elif found := _CLASSES.fullmatch(words):
            listed = tuple(part.strip().strip("'") for part in found["listed"].split(","))
            return cls(found["name"], classes=tuple(dict.fromkeys(listed)))
        elif (found := _CLASS.fullmatch(words)) and not _BOUND.fullmatch(words):
            return cls(found["name"], classes=(found["quoted"] or found["word"].strip(),))
        elif found := _BOUND.fullmatch(words):
            value, sign = _finite(found["value"]), found["sign"]
            if sign == "=":
                raise InvalidInputError(
                    f"{text!r} wants a window of no width, in which no prediction falls; say "
                    f"'{found['name']} between A and B', or of a class of that name "
                    f"\"{found['name']} = '{found['value']}'\""
                )
            is_open = len(sign) == 1
            want = (
                cls(found["name"], high=value, open_high=is_open, unit=found["unit"])
                if sign[0] == "<"
                else cls(found["name"], low=value, open_low=is_open, unit=found["unit"])
            )
        else:
            raise InvalidInputError(f"cannot read the want {text!r}; write {_FORMS}")
        if want.low == want.high:
            raise InvalidInputError(
                f"{text!r} wants a window of no width, in which no prediction falls; widen it"
            )
        if want.low > want.high:
            raise InvalidInputError(
                f"{text!r} wants a window that ends before it begins; write "
                f"'{want.property} between {_written(want.high)} and {_written(want.low)}'"
            )
        return want

    def __str__(self) -> str:
        if self.goal is not None:
            return f"{'maximise' if self.seeks_largest() else 'minimise'} {self.property}"
        if len(self.classes) == 1:
            return f"{self.property} = {self.classes[0]}"
        if self.classes:
            return f"{self.property} in ({', '.join(self.classes)})"
        unit = "" if self.unit is None else f" {self.unit}"
        above = f"{'>' if self.open_low else '>='} {_written(self.low)}"
        below = f"{'<' if self.open_high else '<='} {_written(self.high)}"
        if math.isinf(self.low):
            return f"{self.property} {below}{unit}"
        if math.isinf(self.high):
            return f"{self.property} {above}{unit}"
        if not self.open_low and not self.open_high:
            return f"{self.property} between {_written(self.low)} and {_written(self.high)}{unit}"
        return f"{self.property} {above} and {below}{unit}"

    def seeks_largest(self) -> bool:
        """Whether the largest value is wanted."""
        return self.goal == LARGEST

    def holds(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Whether the window, or the classes, hold known values, shape (n,)."""
        if self.classes:
            return np.isin(values, sorted(self.places))
        above = values > self.low if self.open_low else values >= self.low
        below = values < self.high if self.open_high else values <= self.high
        return np.asarray(above & below)

    def at(self, places: frozenset[int]) -> Want:
        """The same with the places of its classes."""
        return replace(self, places=places)

    def within(self, plausible: tuple[float, float]) -> Want:
        """The same for predictions, which may overstep what the property can be.

        A prediction of a gap below 0 stands for a gap of 0: an end of the window at or beyond the
        least plausible value lets all below in, if it lets that value in.

        Raises
        ------
        InvalidInputError
            If the window holds no plausible value.
        """
        least, most = plausible
        below = self.high < least or (self.high == least and self.open_high)
        if below or self.low > most or (self.low == most and self.open_low):
            raise InvalidInputError(
                f"no material fulfils {str(self)!r}: {self.property} lies between {least:g} and "
                f"{most:g}"
            )
        takes_least = self.low < least or (self.low == least and not self.open_low)
        takes_most = self.high > most or (self.high == most and not self.open_high)
        return replace(
            self,
            low=-math.inf if takes_least else self.low,
            high=math.inf if takes_most else self.high,
        )


def combined(wants: Sequence[str | Want]) -> tuple[Want, ...]:
    """One want for each property, in the order in which these are named first.

    Raises
    ------
    InvalidInputError
        If there is none, one cannot be read, or two of a property contradict each other.
    """
    if not wants:
        raise InvalidInputError(f"say what is wanted: {_FORMS}")
    found: dict[str, Want] = {}
    for given in wants:
        want = Want.parsed(given) if isinstance(given, str) else given
        other = found.get(want.property)
        found[want.property] = want if other is None else _both(other, want)
    return tuple(found.values())


def _both(first: Want, second: Want) -> Want:
    if first == second:
        return first
    if first.goal is not None or second.goal is not None:
        raise InvalidInputError(
            f"the wants {str(first)!r} and {str(second)!r} are two aims for one property; say one"
        )
    if first.classes and second.classes:
        both = tuple(name for name in first.classes if name in second.classes)
        if not both:
            raise InvalidInputError(
                f"the wants {str(first)!r} and {str(second)!r} contradict each other: no class of "
                f"{first.property} fulfils both"
            )
        return replace(first, classes=both)
    if first.classes or second.classes:
        raise InvalidInputError(
            f"the wants {str(first)!r} and {str(second)!r} are of classes and of numbers"
        )
    if None not in (first.unit, second.unit) and first.unit != second.unit:
        raise InvalidInputError(
            f"the wants {str(first)!r} and {str(second)!r} are in different units"
        )
    low, high = max(first.low, second.low), min(first.high, second.high)
    if low >= high:
        raise InvalidInputError(
            f"the wants {str(first)!r} and {str(second)!r} contradict each other: no value of "
            f"{first.property} fulfils both"
        )
    return Want(
        property=first.property,
        low=low,
        high=high,
        open_low=any(want.open_low for want in (first, second) if want.low == low),
        open_high=any(want.open_high for want in (first, second) if want.high == high),
        unit=first.unit or second.unit,
    )


def _written(value: float) -> str:
    """A number in six digits, or in as many as tell it from others."""
    short = f"{value:.6g}"
    return short if float(short) == value else repr(value)


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise InvalidInputError(f"{number} is beyond the largest number")
    return value


def check_unit(want: Want, unit: str) -> None:
    """Refuse a want whose numbers are in another unit than the models'.

    Raises
    ------
    InvalidInputError
        Naming both.
    """
    if want.unit is not None and want.unit != unit:
        raise InvalidInputError(
            f"the want {str(want)!r} is in {want.unit}, the models predict {unit}: write its "
            f"numbers in {unit}"
        )


def plausible_window(want: Want, registry: PropertyRegistry) -> Want:
    """The window for predictions; as it is for a property whose range nobody has registered.

    Raises
    ------
    InvalidInputError
        As for `Want.within`.
    """
    if want.classes or want.property not in registry:
        return want
    return want.within(registry[want.property].plausible)
