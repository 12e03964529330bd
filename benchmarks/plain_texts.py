"""The two descriptions as the libraries give them, called the way the paper's scripts do.

These are what the generators are measured against and compared with, character by character. Only
the settings that make a text one text are added: see
``ingest.text.robocrystallographer.reference_settings`` and, for ChemNLP, sorted Wyckoff letters.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from featurestore.crystal import Crystal
from ingest.structures.convert import to_jarvis, to_pymatgen
from ingest.text.robocrystallographer import quiet, reference_settings


def plain_robocrystallographer(crystal: Crystal) -> str:
    """The description by a new condenser and describer, as for each structure in the paper."""
    from robocrys import StructureCondenser, StructureDescriber

    with quiet(), reference_settings():
        condensed = StructureCondenser().condense_structure(to_pymatgen(crystal))
        return str(StructureDescriber().describe(condensed))


def plain_chemnlp(crystal: Crystal) -> str:
    """The description by jarvis-tools' own analyses."""
    from jarvis.analysis.diffraction.xrd import XRD
    from jarvis.analysis.structure.spacegroup import Spacegroup3D
    from jarvis.core.specie import Specie

    def listed(values: Any) -> str:
        return ", ".join(str(value) for value in values)

    atoms = to_jarvis(crystal)
    composition = atoms.composition
    fractions = {element: round(part, 3) for element, part in composition.atomic_fraction.items()}
    group = Spacegroup3D(atoms)
    angles = XRD().simulate(atoms=atoms)[0]
    peaks = sorted({round(angle, 1) for angle in angles})[:5]
    wyckoff = sorted(set(group._dataset["wyckoffs"]))
    lengths = defaultdict(list)
    for neighbours in atoms.get_all_neighbors(r=4):
        for neighbour in neighbours:
            pair = sorted([atoms.elements[neighbour[0]], atoms.elements[neighbour[1]]])
            lengths["-".join(pair)].append(neighbour[2])
    bonds = ", ".join(
        f"{pair}: {listed(sorted({round(length, 2) for length in found})[:2])} "
        for pair, found in lengths.items()
    )
    sections = [
        "The chemical information include: The chemical has an atomic formula of "
        f"{composition.reduced_formula} with a prototype of {composition.prototype};"
        f"Its molecular weight is {round(composition.weight / 2, 2)} g/mol; "
        f"The atomic fractions are {fractions}, and the atomic values X and Z are "
        f"{listed(Specie(element).X for element in atoms.uniq_species)} and "
        f"{listed(Specie(element).Z for element in atoms.uniq_species)}, respectively.",
        "The structure information include: The lattice parameters are "
        f"{listed(round(length, 2) for length in atoms.lattice.abc)} with angles "
        f"{listed(round(angle, 2) for angle in atoms.lattice.angles)} degrees; "
        f"The space group number is {group.space_group_number} with the symbol "
        f"{group.space_group_symbol}; The top K XRD peaks are found at {listed(peaks)} degrees; "
        f"The material has a density of {round(atoms.density, 3)} g/cm³, crystallizes in a "
        f"{group.crystal_system} system, and has a point group of {group.point_group_symbol}; "
        f"The Wyckoff positions are {listed(wyckoff)}; "
        "The number of atoms in the primitive and conventional cells are "
        f"{group.primitive_atoms.num_atoms} and "
        f"{group.conventional_standard_structure.num_atoms}, respectively;",
        f"The bond distances are as follows: {bonds}.",
    ]
    return " ".join(sections)
