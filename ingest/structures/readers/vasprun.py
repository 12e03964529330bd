"""Reads the last structure of a ``vasprun.xml``, with what the run says about it."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.elements import ELEMENTS
from ingest.structures.readers.base import Content, Found
from ingest.structures.readers.vasp_results import RunOfXml
from ingest.structures.refusals import (
    LimitError,
    NoStructureError,
    UnknownElementError,
    UnreadableFileError,
)


def recognises_vasprun(head: str) -> bool:
    """Whether an XML text is VASP's."""
    return "<modeling" in head[:2000]


def read_vasprun(content: Content) -> Iterator[Found]:
    """The structure that the run ended with; energies, gap and magnetisation as targets.

    Raises
    ------
    UnreadableFileError
        If the XML is cut off or broken, or the run did not end.
    """
    species: list[str] = []
    last: Crystal | None = None
    run = RunOfXml()
    final = False
    depth = 0
    try:
        for event, element in iterparse(BytesIO(content.data), events=("start", "end")):
            depth += 1 if event == "start" else -1
            if depth > 64:
                raise LimitError("the XML is nested deeper than VASP writes")
            if event == "start":
                continue
            if element.tag == "atominfo":
                species = _species(element)
            elif element.tag == "structure":
                last = _structure(element, species)
                final = element.get("name") == "finalpos"
            run.take(element)
            if element.tag in ("structure", "calculation", "eigenvalues", "dos", "projected"):
                element.clear()
    except ParseError as error:
        raise UnreadableFileError(
            f"the XML is broken ({error}); the usual cause is a run that was cut off"
        ) from error
    if last is None:
        raise NoStructureError("the vasprun.xml holds no structure")
    why = run.why_not() if final else "it has no final structure, the last of its steps is taken"
    notes = (f"run: {why}",) if why else ()
    yield Found(last, notes=notes, targets=run.targets(last.n_atoms, final))


def _species(atominfo: Element) -> list[str]:
    symbols = [
        (cell.text or "").strip() for cell in atominfo.findall("./array[@name='atoms']/set/rc/c[1]")
    ]
    if len(symbols) > LARGEST_CELL:
        raise LimitError(f"it has {len(symbols):,} atoms, the largest cell {LARGEST_CELL:,}")
    for symbol in symbols:
        if symbol not in ELEMENTS:
            raise UnknownElementError(f"the vasprun.xml names {symbol[:20]!r}, no element")
    return symbols


def _structure(element: Element, species: list[str]) -> Crystal:
    lattice = _vectors(element, "./crystal/varray[@name='basis']/v")
    coords = _vectors(element, "./varray[@name='positions']/v")
    if not species or lattice.shape != (3, 3) or coords.shape != (len(species), 3):
        raise UnreadableFileError(
            f"a structure has {len(coords)} positions for {len(species)} atoms"
        )
    return Crystal(lattice, tuple(species), coords)


def _vectors(element: Element, path: str) -> npt.NDArray[np.float64]:
    try:
        return np.array(
            [
                [float(one) for one in (vector.text or "").split()]
                for vector in element.findall(path)
            ]
        ).reshape(-1, 3)
    except ValueError as error:
        raise UnreadableFileError("a vector of a structure is not three numbers") from error
