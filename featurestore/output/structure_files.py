"""A stored crystal as a CIF or POSCAR file, in the cell and the order of sites that it has."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np

from featurestore.crystal import Crystal
from featurestore.output.terminal import one_line


def cell_parameters(crystal: Crystal) -> tuple[float, float, float, float, float, float]:
    """a, b and c in Å, alpha, beta and gamma in degrees."""
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    angles = []
    for i, j in ((1, 2), (0, 2), (0, 1)):
        cosine = crystal.lattice[i] @ crystal.lattice[j] / (lengths[i] * lengths[j])
        angles.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))
    a, b, c = map(float, lengths)
    return a, b, c, angles[0], angles[1], angles[2]


def as_poscar(crystal: Crystal, title: str) -> str:
    """A VASP 5 POSCAR file with direct coordinates.

    Parameters
    ----------
    crystal : Crystal
        The structure; sites keep their order, so an element may be named in several blocks.
    title : str
        The comment on its first line.
    """
    blocks = [(element, len(list(sites))) for element, sites in groupby(crystal.species)]
    lines = [
        one_line(title),
        "1.0",
        *("  ".join(f"{part:.16f}" for part in vector) for vector in crystal.lattice),
        " ".join(element for element, _ in blocks),
        " ".join(str(count) for _, count in blocks),
        "Direct",
        *("  ".join(f"{part:.16f}" for part in site) for site in crystal.frac_coords),
    ]
    return "\n".join(lines) + "\n"


def as_cif(crystal: Crystal, title: str) -> str:
    """A CIF file (International Union of Crystallography, CIF 1.1) in P 1: every site is listed.

    Parameters
    ----------
    crystal : Crystal
        The structure. A CIF holds lengths and angles, so its orientation is lost.
    title : str
        Where it comes from; it stands in ``_chemical_name_common`` and names the data block.
    """
    a, b, c, alpha, beta, gamma = cell_parameters(crystal)
    formula = " ".join(f"{element}{n}" for element, n in sorted(Counter(crystal.species).items()))
    block = "".join(one if one.isascii() and one.isalnum() else "_" for one in title)[:60]
    seen: Counter[str] = Counter()
    sites = []
    for element, site in zip(crystal.species, crystal.frac_coords, strict=True):
        seen[element] += 1
        place = " ".join(f"{part:.10f}" for part in site)
        sites.append(f"{element}{seen[element]} {element} {place} 1")
    lines = [
        f"data_{block or 'structure'}",
        f"_chemical_name_common {_quoted(title)}",
        f"_chemical_formula_sum '{formula}'",
        f"_cell_length_a {a:.10f}",
        f"_cell_length_b {b:.10f}",
        f"_cell_length_c {c:.10f}",
        f"_cell_angle_alpha {alpha:.10f}",
        f"_cell_angle_beta {beta:.10f}",
        f"_cell_angle_gamma {gamma:.10f}",
        f"_cell_volume {crystal.volume:.10f}",
        "_symmetry_space_group_name_H-M 'P 1'",
        "_symmetry_Int_Tables_number 1",
        "loop_",
        "_symmetry_equiv_pos_as_xyz",
        "'x, y, z'",
        "loop_",
        "_atom_site_label",
        "_atom_site_type_symbol",
        "_atom_site_fract_x",
        "_atom_site_fract_y",
        "_atom_site_fract_z",
        "_atom_site_occupancy",
        *sites,
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text as a CIF value on one line; CIF 1.1 is ASCII, and a quote before a blank ends one."""
    plain = one_line(text).encode("ascii", "replace").decode("ascii")
    return "'" + plain.replace("'", "_") + "'"
