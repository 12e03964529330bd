"""pymatgen's reading of one block of a CIF."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from featurestore.crystal import Crystal
from ingest.structures.readers.cif_blocks import Block
from ingest.structures.second_reading import crystal_from_pymatgen


def read_by_pymatgen(block: Block, named: bool) -> Crystal:
    """The block's only structure, as pymatgen reads it.

    Parameters
    ----------
    block : Block
    named : bool
        Whether the block lists no operations but only names its space group.

    Raises
    ------
    Exception
        Whatever pymatgen raises.
    """
    from pymatgen.io.cif import CifParser

    if named:
        for tag, values in block.items.items():
            if tag.startswith(("_space_group_", "_symmetry_")) and values and values[0]:
                _keep(values[0])
    (structure,) = CifParser.from_str(block.text, occupancy_tolerance=1.0).parse_structures(
        primitive=False, on_error="raise"
    )
    return crystal_from_pymatgen(structure)


def _keep(value: str) -> None:
    """Keep the space group that pymatgen finds under a symbol or number of a file.

    It forgets a group with the last structure of it, and makes Fm-3m in some 0.4 s: for a folder
    of such files, most of the time of reading them.
    """
    symbol = _symbols().get(re.sub(r"[\s_]", "", value))
    if symbol is not None:
        _group(symbol)


@cache
def _symbols() -> dict[str, str]:
    from pymatgen.symmetry.groups import SYMM_DATA, sg_symbol_from_int_number

    found = {re.sub(r"[\s_]", "", key): key for key in SYMM_DATA["space_group_encoding"]}
    return found | {str(n): sg_symbol_from_int_number(n) for n in range(1, 231)}


@cache
def _group(symbol: str) -> Any:
    from pymatgen.symmetry.groups import SpaceGroup

    return SpaceGroup(symbol)
