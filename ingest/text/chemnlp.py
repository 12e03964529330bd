"""ChemNLP's description of a crystal: fixed prose around the analyses of jarvis-tools.

The facts are those of the describer of the chemnlp project (K. Choudhary and M. L. Kelley,
J. Phys. Chem. C 2023, 127, 17545), and the prose is that of Li et al. (Digital Discovery 2025, 4,
376) with its peculiarities: the molecular weight is half that of the cell, no space precedes
``Its``, and a space precedes the comma between two bonds. Wyckoff letters, which the original
prints in the order of their hashes, are sorted.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.errors import InvalidInputError
from ingest.structures.convert import to_jarvis
from ingest.text.base import GeneratorSpec, Sentence
from ingest.text.tagging import TAGGER_VERSION, tagged
from ingest.text.xrd import peak_angles

if TYPE_CHECKING:
    from jarvis.core.atoms import Atoms

    from featurestore.crystal import Crystal

SOURCE = "chemnlp"
XRD_PEAKS = 5
BOND_CUTOFF = 4.0
BONDS_PER_PAIR = 2

_SHORTEST_BOND = 0.15
# Memory for the distances of a block of lattice images: 2**20 numbers of three axes are 24 MB.
_BLOCK = 2**20


class ChemNLP:
    """Describes crystals as ChemNLP does, in three sections: chemistry, structure, bonds."""

    def __init__(self) -> None:
        self.spec = GeneratorSpec(
            SOURCE,
            {
                "jarvis-tools": version("jarvis-tools"),
                "spglib": version("spglib"),
                "xrd_peaks": XRD_PEAKS,
                "bond_cutoff_angstrom": BOND_CUTOFF,
                "bonds_per_pair": BONDS_PER_PAIR,
                "wyckoff_letters": "sorted",
                "tagger": TAGGER_VERSION,
            },
        )

    def warm_up(self) -> None:
        """Import jarvis-tools: a second or two."""
        import jarvis.analysis.structure.spacegroup  # noqa: F401

    def describe(self, crystal: Crystal) -> list[Sentence]:
        """The sentences of the description, each with its section as tag.

        Raises
        ------
        InvalidInputError
            If jarvis-tools or spglib cannot analyse the structure.
        """
        try:
            atoms = to_jarvis(crystal)
            sentences = [*_chemistry(atoms), *_structure(atoms), _bonds(atoms)]
        except InvalidInputError:
            raise
        except Exception as error:
            raise InvalidInputError(
                f"ChemNLP cannot describe this structure: {type(error).__name__}: {error}"
            ) from error
        return tagged(SOURCE, sentences)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _chemistry(atoms: Atoms) -> list[str]:
    from jarvis.core.specie import Specie

    composition = atoms.composition
    fractions = {el: round(part, 3) for el, part in composition.atomic_fraction.items()}
    species = [Specie(symbol) for symbol in atoms.uniq_species]
    return [
        "The chemical information include: The chemical has an atomic formula of "
        f"{composition.reduced_formula} with a prototype of {composition.prototype};"
        f"Its molecular weight is {round(composition.weight / 2, 2)} g/mol;",
        f"The atomic fractions are {fractions}, and the atomic values X and Z are "
        f"{_listed(s.X for s in species)} and {_listed(s.Z for s in species)}, respectively.",
    ]


def _structure(atoms: Atoms) -> list[str]:
    from jarvis.analysis.structure.spacegroup import Spacegroup3D

    group = Spacegroup3D(atoms)
    if group._dataset is None:
        raise InvalidInputError("spglib finds no space group for this structure")
    primitive, conventional = _cell_sizes(group)
    peaks = sorted({round(angle, 1) for angle in peak_angles(atoms).tolist()})[:XRD_PEAKS]
    return [
        "The structure information include: The lattice parameters are "
        f"{_listed(round(length, 2) for length in atoms.lattice.abc)} with angles "
        f"{_listed(round(angle, 2) for angle in atoms.lattice.angles)} degrees;",
        f"The space group number is {group.space_group_number} with the symbol "
        f"{group.space_group_symbol};",
        f"The top K XRD peaks are found at {_listed(peaks)} degrees;",
        f"The material has a density of {round(atoms.density, 3)} g/cm³, crystallizes in a "
        f"{group.crystal_system} system, and has a point group of {group.point_group_symbol};",
        f"The Wyckoff positions are {', '.join(sorted(set(group._dataset['wyckoffs'])))};",
        "The number of atoms in the primitive and conventional cells are "
        f"{primitive} and {conventional}, respectively;",
    ]


def _cell_sizes(group: Any) -> tuple[int, int]:
    """Numbers of atoms in jarvis-tools' ``primitive_atoms`` and standard conventional cell.

    spglib's data set has them already: which atom of the primitive cell each atom maps to, and the
    atoms of the standard cell. jarvis-tools asks spglib for both cells anew.
    """
    primitive = set(group._dataset["mapping_to_primitive"].tolist())
    return len(primitive), len(group._dataset["std_types"])


def _bonds(atoms: Atoms) -> str:
    bonds = ", ".join(f"{pair}: {_listed(found)} " for pair, found in _bond_lengths(atoms).items())
    return f"The bond distances are as follows: {bonds}."


def _bond_lengths(atoms: Atoms) -> dict[str, list[float]]:
    """The shortest distances in Å, to 0.01 Å, of each pair of elements within the cut-off.

    Pairs come in the order in which jarvis-tools' ``get_all_neighbors`` meets them: by site, then
    by lattice image, then by neighbour.
    """
    elements = list(dict.fromkeys(atoms.elements))
    kind = np.array([elements.index(el) for el in atoms.elements])
    one, other = np.meshgrid(kind, kind)
    pairs = np.minimum(one, other) * len(elements) + np.maximum(one, other)
    images = _images(atoms)
    n = len(kind)
    shortest: dict[int, set[float]] = {}
    earliest: dict[int, int] = {}
    step = max(1, _BLOCK // (n * n))
    for start in range(0, len(images), step):
        shifted = np.vecmat(images[start : start + step], atoms.lattice_mat)
        coords = shifted[:, None, :] + atoms.cart_coords
        offsets = (coords[:, :, None, :] - atoms.cart_coords[None, None, :, :]) ** 2
        distances = np.sum(offsets, axis=-1) ** 0.5
        image, neighbour, site = np.nonzero(
            (distances <= BOND_CUTOFF) & (distances > _SHORTEST_BOND)
        )
        met = (site * len(images) + image + start) * n + neighbour
        pair = pairs[neighbour, site]
        length = np.round(distances[image, neighbour, site], 2)
        for code in np.unique(pair).tolist():
            of_pair = pair == code
            found = shortest.setdefault(code, set()) | set(length[of_pair].tolist())
            shortest[code] = set(sorted(found)[:BONDS_PER_PAIR])
            first = int(met[of_pair].min())
            earliest[code] = min(first, earliest.get(code, first))
    return {
        "-".join(sorted([elements[code // len(elements)], elements[code % len(elements)]])): sorted(
            shortest[code]
        )
        for code in sorted(earliest, key=earliest.__getitem__)
    }


def _images(atoms: Atoms) -> Any:
    """The lattice images that jarvis-tools searches, shape (n, 3), in its order."""
    reach = np.array(atoms.lattice.reciprocal_lattice().abc)
    reach = np.ceil((BOND_CUTOFF + _SHORTEST_BOND) * reach / (2 * np.pi))
    low = np.floor(np.min(atoms.frac_coords, axis=0)) - reach
    high = np.ceil(np.max(atoms.frac_coords, axis=0)) + reach
    axes = [np.arange(first, last) for first, last in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
