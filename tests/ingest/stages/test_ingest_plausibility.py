"""Targets outside the plausible range are stored, and said."""

from __future__ import annotations

from pathlib import Path

from featurestore import FeatureStore
from featurestore.registry import load_registry
from ingest.stages.plausibility import implausible_targets


def test_values_outside_the_range_are_counted(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path / "store", create=True)
    values = {"a": 5.0, "b": 5.001, "c": -0.1, "d": 9.0}
    store.merge_rows(
        "properties",
        [
            {
                "material_id": name,
                "property": "ehull",
                "source": "elsewhere" if name == "d" else "here",
                "value": value,
                "unit": "eV/atom",
                "run_id": "r",
            }
            for name, value in values.items()
        ],
    )
    assert implausible_targets(store, "here", load_registry()) == [
        "2 stored values of ehull are outside the plausible 0 to 5 eV/atom, for example that of b"
    ]
    assert implausible_targets(store, "nowhere", load_registry()) == []
