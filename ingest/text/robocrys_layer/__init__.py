"""A fast layer under Robocrystallographer that leaves every description as it is, byte for byte.

It holds for the library versions in :data:`PROVEN`, on which ``benchmarks/robocrystallographer.py``
has compared it with the plain library. Import nothing else from here where the versions differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType

#: The versions on which the layer gives the library's texts.
PROVEN: Mapping[str, str] = MappingProxyType(
    {
        "robocrys": "0.2.13",
        "pymatgen": "2026.10.24",
        "pymatgen-core": "2026.10.16",
        "matminer": "0.10.1",
    }
)


def unproven() -> list[str]:
    """The installed packages whose version is not the proven one, each with both versions."""
    found = {package: version(package) for package in PROVEN}
    return [
        f"{package} {found[package]} (proven: {proven})"
        for package, proven in PROVEN.items()
        if found[package] != proven
    ]
