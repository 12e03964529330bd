"""Units that providers state are compared with those of properties, whatever their spelling."""

from __future__ import annotations

import pytest

from featurestore.errors import InvalidInputError
from featurestore.registry import Property, PropertyRegistry
from ingest.providers.columns import check_columns

REGISTRY = PropertyRegistry({"gap": Property("gap", "eV/atom"), "size": Property("size", "Å")})


@pytest.mark.parametrize(("name", "stated"), [("gap", "eV per atom"), ("size", "angstrom")])
def test_another_spelling_is_the_same_unit(name: str, stated: str) -> None:
    assert check_columns({"_x": name}, ["_x"], lambda _: stated, REGISTRY, "the server") == []


@pytest.mark.parametrize("stated", ["meV/atom", "MeV/atom", "EV/atom", "eV"])
def test_a_prefix_of_another_case_is_another_unit(stated: str) -> None:
    with pytest.raises(InvalidInputError, match="the property gap is in 'eV/atom'"):
        check_columns({"_x": "gap"}, ["_x"], lambda _: stated, REGISTRY, "the server")
