"""Made-up OPTIMADE entries: caesium chloride cells, and each kind that must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def entry(name: str, a: float = 4.0, **changes: Any) -> dict[str, Any]:
    """A CsCl cell with edge ``a`` in Å as an entry of ``structures``."""
    attributes = {
        "elements": ["Cl", "Cs"],
        "nelements": 2,
        "elements_ratios": [0.5, 0.5],
        "chemical_formula_descriptive": "CsCl",
        "chemical_formula_reduced": "ClCs",
        "chemical_formula_anonymous": "AB",
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": [[a, 0.0, 0.0], [0.0, a, 0.0], [0.0, 0.0, a]],
        "cartesian_site_positions": [[0.0, 0.0, 0.0], [a / 2, a / 2, a / 2]],
        "nsites": 2,
        "species": [species("Cs"), species("Cl")],
        "species_at_sites": ["Cs", "Cl"],
        "structure_features": [],
        "last_modified": "2026-05-04T10:00:00Z",
        "_exmpl_delta_e": -1.0 - a / 10,
    }
    return {"id": name, "type": "structures", "attributes": attributes | changes}


def species(name: str, *others: tuple[str, float], share: float = 1.0) -> dict[str, Any]:
    symbols = [name, *(symbol for symbol, _ in others)]
    return {
        "name": name,
        "chemical_symbols": symbols,
        "concentration": [share, *(part for _, part in others)],
    }


def refused() -> dict[str, tuple[dict[str, Any], str, str]]:
    """By kind: an entry, the rule that refuses it, and words of the reason."""
    half = species("Cs", ("K", 0.5), share=0.5)
    vacant = species("Cs", ("vacancy", 0.25), share=0.75)
    null = [[0.0, 0.0, 0.0], [None, None, None]]
    return {
        "disorder": (
            entry("disorder", species=[half, species("Cl")], structure_features=["disorder"]),
            "DisorderError",
            "partial occupancy",
        ),
        "vacancy": (
            entry("vacancy", species=[vacant, species("Cl")], structure_features=["disorder"]),
            "DisorderError",
            "Cs 0.75",
        ),
        "disorder-unsaid": (
            entry("disorder-unsaid", structure_features=["disorder"]),
            "DisorderError",
            "no species says",
        ),
        "assemblies": (
            entry(
                "assemblies",
                assemblies=[{"sites_in_groups": [[0], [1]], "group_probabilities": [0.3, 0.7]}],
                structure_features=["assemblies"],
            ),
            "DisorderError",
            "assemblies",
        ),
        "attachments": (
            entry(
                "attachments",
                species=[species("Cs") | {"attached": ["H"], "nattached": [2]}, species("Cl")],
                structure_features=["site_attachments"],
            ),
            "DisorderError",
            "site_attachments",
        ),
        "implicit": (
            entry("implicit", structure_features=["implicit_atoms"]),
            "DisorderError",
            "implied",
        ),
        "unheard-of": (
            entry("unheard-of", structure_features=["fractal"]),
            "DisorderError",
            "fractal",
        ),
        "no-species-at-sites": (
            entry("no-species-at-sites", species_at_sites=None),
            "NoStructureError",
            "no species_at_sites",
        ),
        "no-positions": (
            entry("no-positions", cartesian_site_positions=None),
            "NoStructureError",
            "no cartesian_site_positions",
        ),
        "null-positions": (
            entry("null-positions", cartesian_site_positions=null),
            "NoStructureError",
            "holds null",
        ),
        "slab": (
            entry("slab", dimension_types=[1, 1, 0], nperiodic_dimensions=2),
            "NoStructureError",
            "three directions",
        ),
        "unknown-element": (
            entry("unknown-element", species=[species("X"), species("Cl")])
            | {"attributes": entry("")["attributes"] | _unknown()},
            "UnknownElementError",
            "'X', no element",
        ),
        "nameless-species": (
            entry("nameless-species", species_at_sites=["Cs", "Br"]),
            "UnknownElementError",
            "'Br'",
        ),
        "another-formula": (
            entry("another-formula", chemical_formula_reduced="Cl2Cs"),
            "CompositionError",
            "the provider's formula",
        ),
        "too-few": (
            entry("too-few", nsites=3),
            "UnreadableFileError",
            "nsites is 3",
        ),
        "short": (
            entry("short", cartesian_site_positions=[[0.0, 0.0, 0.0]]),
            "UnreadableFileError",
            "should be 2 rows",
        ),
        "words": (
            entry("words", lattice_vectors=[["__import__('os')", 0, 0], [0, 4, 0], [0, 0, 4]]),
            "UnreadableFileError",
            "three numbers",
        ),
        "flat": (
            entry("flat", lattice_vectors=[[4.0, 0, 0], [4.0, 0, 0], [0, 0, 4.0]]),
            "UnreadableFileError",
            "no volume",
        ),
        "overlap": (
            entry("overlap", cartesian_site_positions=[[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]]),
            "OverlapError",
            "overlapping",
        ),
    }


def _unknown() -> dict[str, Any]:
    return {"species": [species("X"), species("Cl")], "species_at_sites": ["X", "Cl"]}


def write_jsonl(path: Path) -> None:
    """What the real server is filled with: 25 good entries, and those that it accepts itself."""
    lines: list[dict[str, Any]] = [{"x-optimade": {"api_version": "1.2.0"}}]
    lines += [
        entry(f"{number:03d}", 4.0 + number / 50, delta_e=-1.0 - number / 100)
        for number in range(25)
    ]
    disordered = refused()["disorder"][0]["attributes"] | {
        "elements": ["Cl", "Cs", "K"],
        "nelements": 3,
        "elements_ratios": [0.5, 0.25, 0.25],
        "chemical_formula_descriptive": "Cs0.5K0.5Cl",
        "chemical_formula_reduced": "Cl2CsK",
        "chemical_formula_anonymous": "A2BC",
    }
    lines.append({"id": "disorder", "type": "structures", "attributes": disordered})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
