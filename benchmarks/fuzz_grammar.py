"""Files by grammar: the words of each format, put together as no program writes them.

Each function makes one file from what it draws. Numbers and words are mostly sound, so that what is
odd reaches the places behind the first checks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

_ODD_NUMBERS = (
    *("nan", "inf", "-inf", "1e400", "1e-320", "-0.0", "?", ".", "0.5(3)", "1/3", "1,5", "0x1"),
    *("+.5", "1e", "9" * 400, "1_0", "true", "", "4.0(12)", "-1", "1e10", "٣"),
)
_ELEMENTS = ("Cs", "Cl", "Na", "O", "Fe", "U", "H", "D", "Cl1-", "O2-", "Fe3+", "Xx", "X", "Og")
_CIF_WORDS = (
    *(
        "_cell_length_a",
        "_cell_length_b",
        "_cell_length_c",
        "_cell_volume",
        "_cell_formula_units_Z",
    ),
    *("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma", "_cell_modulation_dimension"),
    *("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt", "_symmetry_Int_Tables_number"),
    *(
        "_space_group_IT_number",
        "_space_group_name_Hall",
        "_chemical_formula_sum",
        "_cell.length_a",
    ),
    *("_chemical_formula_structural", "_chemical_name_common", "_diffrn_ambient_temperature"),
    *("_refine_ls_R_factor_all", "_audit_creation_method", "_space_group_magn.name_BNS"),
    *("_atom_site_label", "_symmetry_equiv_pos_as_xyz", "_journal_year", "_pd_phase_name"),
)
_CIF_COLUMNS = (
    *("_atom_site_label", "_atom_site_type_symbol", "_atom_site_fract_x", "_atom_site_fract_y"),
    *("_atom_site_fract_z", "_atom_site_occupancy", "_atom_site_U_iso_or_equiv"),
    *("_atom_site_disorder_group", "_atom_site_disorder_assembly", "_atom_site_calc_flag"),
    *("_atom_site_symmetry_multiplicity", "_atom_site_Wyckoff_symbol", "_atom_site_Cartn_x"),
    *("_atom_site_attached_hydrogens", "_atom_site.label", "_atom_site_adp_type"),
)
_OPERATIONS = (
    *("x,y,z", "-x,-y,-z", "'x, y, z+1/2'", "-y,x-y,z", "'1/2+x,y,-z'", "x,y", "x,y,z,u", "z,x,y"),
    *("'x,y,z/0'", "2x,y,z", "x-x,y,z", "'-x+0.5, y, z'", "a,b,c", "x,y,z,+1", "+x,+y,+z", "?"),
)
_GROUPS = (
    "'P 1'",
    "'P m -3 m'",
    "'F d -3 m :2'",
    "P1",
    "Fm-3m",
    "'R -3 m :H'",
    "'P 21/c'",
    "X",
    "?",
)


def number(random: Random, low: float = 0.0, high: float = 6.0) -> str:
    """Mostly a plain number."""
    if random.random() < 0.04:
        return random.choice(_ODD_NUMBERS)
    drawn = random.choice((random.uniform(low, high), random.choice((0.0, 0.25, 0.5, 1.0))))
    return f"{drawn:.{random.choice((1, 4, 9))}f}" + ("(1)" if random.random() < 0.05 else "")


def cif(random: Random) -> bytes:
    """One to three blocks of the dictionary's words, with loops of sites and operations."""
    return "".join(_cif_block(random, n) for n in range(random.choice((1, 1, 1, 2, 3)))).encode()


def _cif_block(random: Random, n: int) -> str:
    lines = [random.choice((f"data_{n}", "data_", "DATA_x", "save_a", "global_", "# no block"))]
    if random.random() < 0.9:
        lines = [f"data_{n}"]
    for word in ("a", "b", "c"):
        lines.append(f"_cell_length_{word} {number(random, 3, 6)}")
    for word in ("alpha", "beta", "gamma"):
        angle = "90" if random.random() < 0.7 else number(random, 20, 170)
        lines.append(f"_cell_angle_{word} {angle}")
    for _ in range(random.randint(0, 4)):
        value = random.choice((number(random), random.choice(_GROUPS), "\n;\ntext\n;", "'a b", "."))
        lines.append(f"{random.choice(_CIF_WORDS)} {value}")
    if random.random() < 0.6:
        name = random.choice(("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"))
        operations = ["x,y,z"] if random.random() < 0.8 else []
        operations += random.choices(_OPERATIONS, k=random.randint(0, 4))
        lines += ["loop_", name, *operations]
    columns = list(_CIF_COLUMNS[:5]) if random.random() < 0.85 else []
    columns += random.sample(_CIF_COLUMNS, random.randint(0, 4))
    lines += ["loop_", *columns]
    for site in range(random.randint(0, 5)):
        element = random.choice(_ELEMENTS)
        cells = [_cif_cell(column, element, site, random) for column in columns]
        if random.random() < 0.03:
            cells = cells[:-1]
        lines.append(" ".join(cells))
    if random.random() < 0.1:
        random.shuffle(lines)
    return "\n".join(lines) + random.choice(("\n", "", "\r\n", "\n#END\n"))


def _cif_cell(column: str, element: str, site: int, random: Random) -> str:
    if column.endswith(("label", "symbol")):
        return f"{element}{site}" if column.endswith("label") else element
    if "disorder" in column:
        return random.choice((".", "1", "2", "-1", "A"))
    if "flag" in column or "type" in column or "Wyckoff" in column:
        return random.choice(("d", "calc", "dum", "Uiso", "a", "?"))
    if "occupancy" in column:
        return "1" if random.random() < 0.7 else number(random, 0, 1)
    return number(random, -1, 2)


def poscar(random: Random) -> bytes:
    """A POSCAR with a scale, species, counts and what may follow the sites."""
    scale = "1.0" if random.random() < 0.6 else random.choice(("-64.0", "0", "2 2 2", "1e5", "nan"))
    rows = [" ".join(number(random, -5, 5) for _ in range(3)) for _ in range(3)]
    if random.random() < 0.8:
        rows = ["4 0 0", f"0 {number(random, 3, 5)} 0", f"{number(random, 0, 1)} 0 4"]
    kinds = random.randint(1, 3)
    counts = [random.choice(("1", "2", "1", "3", "0", "-1", "1.0", "99999")) for _ in range(kinds)]
    lines = ["made up", scale, *rows]
    if random.random() < 0.85:
        lines.append(" ".join(random.choice(_ELEMENTS) for _ in range(kinds)))
    lines.append(" ".join(counts))
    if random.random() < 0.3:
        lines.append(random.choice(("Selective dynamics", "s", "")))
    lines.append(random.choice(("Direct", "direct", "Cartesian", "k", "d ", "", "0.5 0.5 0.5")))
    for _ in range(random.randint(0, 6)):
        flags = random.choice(("", " T T F", " Cs", " 1", " ! Cs1"))
        lines.append(" ".join(number(random, -1, 2) for _ in range(3)) + flags)
    if random.random() < 0.2:
        lines += ["", *(" ".join(number(random) for _ in range(3)) for _ in range(3))]
    return ("\n".join(lines) + "\n").encode()


def extxyz(random: Random) -> bytes:
    """Frames of an extended XYZ file."""
    return "".join(_frame(random) for _ in range(random.choice((1, 1, 2, 3)))).encode()


def _frame(random: Random) -> str:
    sites = random.randint(0, 4)
    lattice = " ".join(["4", "0", "0", "0", number(random, 3, 5), "0", "0", "0", "4"])
    columns = random.choice(
        (
            *("species:S:1:pos:R:3", "species:S:1:pos:R:3:forces:R:3", "pos:R:3:species:S:1"),
            *(
                "species:S:1",
                "Z:I:1:pos:R:3",
                "species:S:1:pos:R:3:tag:L:1",
                "species:S:-1:pos:R:3",
            ),
            "species:S:1:pos:R:999999999",
        )
    )
    fields = {
        "Lattice": f'"{lattice}"',
        "Properties": columns,
        "pbc": random.choice(('"T T T"', '"T T F"', '"F F F"', "T", '"1 1 1"', "[1,1,1]")),
        "energy": number(random, -9, 0),
        random.choice(("dipole", "stress", "config_type", "{", "a=b")): random.choice(
            ('"1 2 3"', "_JSON {}", "[[1,2],[3]]", '"', number(random), "{1 2}")
        ),
    }
    kept = [name for name in fields if name in ("Lattice", "Properties") or random.random() < 0.5]
    if random.random() < 0.1:
        kept = random.sample(kept, max(0, len(kept) - 1))
    comment = " ".join(f"{name}={fields[name]}" for name in kept)
    count = str(sites) if random.random() < 0.9 else random.choice(("-1", "9999999999", "x", "1.0"))
    rows = []
    for _ in range(sites):
        cells = [random.choice(_ELEMENTS), *(number(random, 0, 4) for _ in range(3))]
        cells += ["0.1"] * 3 if "forces" in columns else []
        rows.append(" ".join(cells))
    return "\n".join([count, comment, *rows]) + "\n"


def structure_json(random: Random) -> bytes:
    """A pymatgen, JARVIS or OPTIMADE form with odd members."""
    a = random.choice((4.0, 3.5, 1e-9, 1e9, None, "4", [4], float("nan")))
    a = 4.0 if random.random() < 0.7 else a
    matrix: Any = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    element = random.choice(_ELEMENTS)
    odd: Any = random.choice((None, [], {}, "x", -1, 1e999, [[1]], {"@module": "os"}, 10**30))
    species = random.choice(([{"element": element, "occu": 1}], [{"element": element}], [], odd))
    site = {
        "species": species,
        "abc": random.choice(([0, 0, 0], [0.5, 0.5], odd)),
        "label": element,
        "properties": random.choice(({}, {"magmom": 1.0}, odd)),
    }
    pymatgen = {
        "@module": "pymatgen.core.structure",
        "@class": random.choice(("Structure", "Structure", "Molecule", "IStructure", odd)),
        "lattice": random.choice(({"matrix": matrix}, {"a": 4, "b": 4}, odd)),
        "sites": [site] * random.randint(0, 3),
        "charge": random.choice((0, None, odd)),
    }
    jarvis = {
        "lattice_mat": matrix,
        "coords": random.choice(([[0, 0, 0]], [[0, 0]], odd)),
        "elements": random.choice(([element], [element, "O"], odd)),
        "cartesian": random.choice((False, True, "false", odd)),
    }
    document: Any = random.choice((pymatgen, jarvis, [pymatgen], {"atoms": jarvis, "jid": odd}))
    for _ in range(random.choice((0, 0, 1))):
        document.pop(next(iter(document)), None) if isinstance(document, dict) else None
    return json.dumps(document).encode()


def table(random: Random) -> bytes:
    """A table of targets in some dialect of CSV."""
    separator = random.choice((",", ",", ";", "\t", "|", " ", ":"))
    quote = random.choice(("", '"', "'"))
    header = [random.choice(("material_id", "jid", "id", "ID", "")), "slme", "mbj_bandgap"]
    if random.random() < 0.2:
        header.append(random.choice(("slme", "slme (%)", "mbj_bandgap (eV)", "x" * 300, "\0")))
    rows = [header]
    for n in range(random.randint(0, 5)):
        cells = [f"J-{n}" if random.random() < 0.9 else random.choice(("", "J-0", "a,b", "=1+1"))]
        cells += [
            random.choice((number(random), "na", "", "1.234,5", "1 000", "5 eV", "'1", "<5"))
            for _ in header[1:]
        ]
        rows.append(cells if random.random() < 0.95 else cells[:-1])
    end = random.choice(("\n", "\n", "\r\n", "\r"))
    text = end.join(separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows)
    text = random.choice(("", "", "", "# made\n", "sep=;\n", "\n\n")) + text
    return text.encode(random.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be")))


def json_lines(random: Random) -> bytes:
    """A table of targets as lines of JSON."""
    lines = []
    for n in range(random.randint(0, 5)):
        value: Any = random.choice((1.5, None, "na", "2.5", True, [1], {}, 1e999, 10**400, -0.0))
        row: Any = {random.choice(("material_id", "id")): f"J-{n}", "slme": value}
        lines.append(json.dumps(row if random.random() < 0.9 else random.choice(([], 1, None))))
    return random.choice(("\n", "\r\n", "\n\n")).join(lines).encode()


def registry(random: Random) -> bytes:
    """A TOML file of properties."""
    parts = []
    for n in range(random.randint(0, 3)):
        name = random.choice((f"p{n}", '"bulk modulus"', "a.b", "'x'", "", "ü"))
        unit = random.choice(('"eV"', '"1"', "1", "''", '"""e\nV"""', "2026-11-30", "{}", "[]"))
        low, high = random.choice(
            (("0", "1"), ("-inf", "inf"), ("1", "0"), ("nan", "1"), ("0", "x"))
        )
        parts.append(f"[{name}]\nunit = {unit}\nrange = [{low}, {high}]\n")
        if random.random() < 0.2:
            parts.append(f"{random.choice(('unit', 'more', 'range.a', 'x = {'))} = 1\n")
    return "".join(parts).encode()


GRAMMARS: dict[str, Callable[[Random], bytes]] = {
    "cif": cif,
    "poscar": poscar,
    "extxyz": extxyz,
    "structure.json": structure_json,
    "csv": table,
    "json lines": json_lines,
    "toml": registry,
}
