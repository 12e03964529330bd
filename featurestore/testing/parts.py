"""What every kind of part has to keep, whatever it makes: its settings and its fingerprint."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from featurestore.errors import FeatureStoreError
from featurestore.identity import fingerprint
from featurestore.plugins import Part, Setting

_MIB = 2**20


class PartContract:
    """Tests that hold for encoders, text generators, predictors and structure readers alike.

    Attributes
    ----------
    settings : mapping
        With which the part is tested; others are at their defaults.
    other_values : mapping
        For a setting another value that can be built, or None for one that cannot be tried here.
        A whole number, a truth value and a choice have one of themselves, text has not.
    memory_growth : int
        MiB by which so many calls may let the process grow.
    memory_calls : int
        Enough of them to tell a leak from what is loaded once.
    """

    settings: ClassVar[Mapping[str, Any]] = {}
    other_values: ClassVar[Mapping[str, Any]] = {}
    memory_growth: ClassVar[int] = 64
    memory_calls: ClassVar[int] = 30

    @pytest.fixture
    def part(self) -> Any:
        """The part; subclasses return theirs."""
        raise NotImplementedError

    @pytest.fixture
    def folder(self) -> Path | None:
        """A folder of weights, for an architecture."""
        return None

    def identity(self, made: Any) -> Mapping[str, Any]:
        """The fingerprint of what the part has made."""
        found: Mapping[str, Any] = made.spec.fingerprint
        return found

    @pytest.fixture
    def build(self, part: Part, folder: Path | None) -> Callable[..., Any]:
        """Make the thing, with further settings."""

        def build(**more: Any) -> Any:
            return part.build({**self.settings, **more}, folder=folder)

        return build

    def test_it_says_what_it_is(self, part: Part) -> None:
        assert part.summary.strip() and part.licence.strip()
        for setting in part.settings:
            assert setting.help.strip(), f"the setting {setting.name!r} has no help"

    def test_the_fingerprint_is_the_same_each_time(self, build: Callable[..., Any]) -> None:
        first, second = (self.identity(build()) for _ in range(2))
        assert fingerprint(first) == fingerprint(second)

    def test_the_fingerprint_changes_with_each_setting_that_matters(
        self, part: Part, build: Callable[..., Any]
    ) -> None:
        before = fingerprint(self.identity(build()))
        for setting, value in self._others(part):
            changed = fingerprint(self.identity(build(**{setting.name: value}))) != before
            assert changed == setting.identity, (
                f"{setting.name}={value!r} {'changes' if changed else 'does not change'} the "
                f"fingerprint, and the setting says identity={setting.identity}"
            )

    def test_the_settings_can_be_read_from_the_fingerprint(
        self, part: Part, build: Callable[..., Any]
    ) -> None:
        for setting, value in self._others(part):
            if not setting.identity:
                continue
            found = self.identity(build(**{setting.name: value}))
            again = part.settings_in(found)
            assert fingerprint(self.identity(build(**again))) == fingerprint(found), (
                f"{setting.name}={value!r} cannot be had back from the fingerprint"
            )

    def test_a_setting_that_it_does_not_have_is_refused(self, build: Callable[..., Any]) -> None:
        with pytest.raises(FeatureStoreError, match="no_such_setting"):
            build(no_such_setting=1)

    def _others(self, part: Part) -> Iterator[tuple[Setting, Any]]:
        """Each setting that can be tried with a value that is not the present one."""
        for setting in part.settings:
            now = self.settings.get(setting.name, setting.default)
            if setting.name in self.other_values:
                value = self.other_values[setting.name]
                if value is None:
                    continue
            elif setting.choices:
                value = next(choice for choice in setting.choices if choice != now)
            elif setting.type is bool:
                value = not now
            elif setting.type in (int, float) and now is not None:
                value = now + 1
            else:
                pytest.fail(
                    f"name another value of the setting {setting.name!r} in other_values, or None"
                )
            yield setting, value

    def check_memory(self, call: Callable[[int], object]) -> None:
        """Call many times, each with a number of its own; the process may not grow with it."""
        for number in range(5):
            call(number)
        before = _resident()
        for number in range(self.memory_calls):
            call(5 + number)
        grown = (_resident() - before) / _MIB
        assert grown < self.memory_growth, (
            f"{self.memory_calls} calls let the process grow by {grown:.0f} MiB"
        )


def _resident() -> int:
    """Bytes of memory that the process holds now."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("only Linux tells a process what it holds now")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
