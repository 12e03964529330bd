"""Hands the configuration to click, which asks for the default of each parameter by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from featurestore.configuration.keys import KEYS
from featurestore.configuration.reading import Configuration, read_configuration

_OF_PARAMETER = {key.parameter: key.name for key in KEYS.values() if key.parameter}


class ConfiguredDefaults(Mapping[str, Any]):
    """A ``default_map`` that is the same for every command.

    Click looks up a command's own map by the command's name, and in that a parameter's default by
    the parameter's name: here every name that is no configured parameter is a command's, and leads
    back to this map. The file is read when the first parameter is looked up, so that a help page
    of the root command needs none.
    """

    @cached_property
    def configuration(self) -> Configuration:
        """What file and environment set; raises as `read_configuration`."""
        return read_configuration()

    def __getitem__(self, name: str) -> Any:
        if name not in _OF_PARAMETER:
            return self
        found = self.configuration.get(_OF_PARAMETER[name])
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return (
            name in _OF_PARAMETER and self.configuration.get(_OF_PARAMETER[str(name)]) is not None
        )

    def __iter__(self) -> Iterator[str]:
        return (name for name in _OF_PARAMETER if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
