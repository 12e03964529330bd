"""What a VASP run says about the structure it ended with: energy, band gap, magnetisation.

Energies are those with the smearing extrapolated to zero, as VASP's ``e_0_energy``. A run that did
not converge has reasons in the place of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from featurestore.failure import Failure
from ingest.structures.opening import COMPRESSIONS, read_whole, unpacked, without_compression
from ingest.structures.refusals import (
    InvalidStructureError,
    LimitError,
    OtherStructureError,
    UnreadableFileError,
)

_NAMES = ("energy", "energy_per_atom", "band_gap", "total_magnetization")
_PARAMETERS = ("NELM", "NSW", "IBRION")
_OCCUPIED = 1e-8  # pymatgen's tolerance
_SAME_VOLUME = 1e-3  # relative; a CONTCAR and a vasprun.xml round differently

Targets = dict[str, float | Failure]


@dataclass
class RunOfXml:
    """What is collected of a ``vasprun.xml`` while it is read.

    Parameters
    ----------
    parameters : dict of str to int
        NELM, NSW and IBRION.
    ionic_steps, electronic_steps : int
        Of the run, and of its last ionic step.
    energy : float, optional
        Of the last step, eV.
    occupations : list of ndarray, shape (bands, 2)
        Energies (eV) and occupations, spin by spin and k-point by k-point.
    spins : int
    weights : list of float
        Of the k-points.
    """

    parameters: dict[str, int] = field(default_factory=dict)
    ionic_steps: int = 0
    electronic_steps: int = 0
    energy: float | None = None
    occupations: list[npt.NDArray[np.float64]] = field(default_factory=list)
    spins: int = 0
    weights: list[float] = field(default_factory=list)

    def take(self, element: Element) -> None:
        """Collect what an element that has ended says."""
        try:
            if element.tag == "parameters":
                for one in element.iter("i"):
                    if one.get("name") in _PARAMETERS:
                        self.parameters[str(one.get("name"))] = int(one.text or "")
            elif element.tag == "kpoints":
                found = element.findall("./varray[@name='weights']/v")
                self.weights = [float(one.text or "") for one in found]
            elif element.tag == "eigenvalues":
                self._take_eigenvalues(element)
            elif element.tag == "calculation":
                self._take_energy(element)
        except ValueError as error:
            raise UnreadableFileError(
                f"<{element.tag}> holds something else than numbers"
            ) from error

    def _take_eigenvalues(self, element: Element) -> None:
        spins = element.findall("./array/set/set")
        self.spins = len(spins)
        self.occupations = [
            np.array([[float(one) for one in (row.text or "").split()[:2]] for row in point])
            for spin in spins
            for point in spin.findall("./set")
        ]

    def _take_energy(self, element: Element) -> None:
        self.ionic_steps += 1
        steps = element.findall("./scstep")
        self.electronic_steps = len(steps)
        whole = _energies(element)
        self.energy = whole.get("e_0_energy")
        last = _energies(steps[-1]) if steps else {}
        if "e_0_energy" in last and "e_fr_energy" in last and "e_fr_energy" in whole:
            # VASP writes another e_0_energy of the whole step (vasp.at/forum, t=16942).
            self.energy = last["e_0_energy"] - last["e_fr_energy"] + whole["e_fr_energy"]

    def targets(self, atoms: int, has_ended: bool) -> Targets:
        """Energies (eV), band gap (eV), magnetisation (Bohr magnetons), or why there are none."""
        if self.energy is None:
            return {}
        found: dict[str, float] = {"energy": self.energy, "energy_per_atom": self.energy / atoms}
        if self.occupations and all(one.shape[1:] == (2,) for one in self.occupations):
            levels = np.concatenate(self.occupations)
            occupied = levels[:, 1] > _OCCUPIED
            if occupied.any() and not occupied.all():
                gap = levels[~occupied, 0].min() - levels[occupied, 0].max()
                found["band_gap"] = max(float(gap), 0.0)
            if self.spins == 2 and len(self.occupations) == 2 * len(self.weights):
                filled = np.array([one[:, 1].sum() for one in self.occupations]).reshape(2, -1)
                found["total_magnetization"] = float((filled[0] - filled[1]) @ self.weights)
        reason = self.why_not() if has_ended else "it has no final structure"
        return _unless(reason, found)

    def why_not(self) -> str:
        """Why its last step is no result, in words; empty if it is one."""
        limit, steps = self.parameters.get("NELM"), self.parameters.get("NSW", 0)
        kind = self.parameters.get("IBRION", -1)
        if limit is not None and 1 < limit <= self.electronic_steps:
            return f"its electrons did not converge within NELM = {limit} steps"
        return _why_not_relaxed(kind, steps, self.ionic_steps >= steps)


def _energies(element: Element) -> dict[str, float]:
    return {
        str(one.get("name")): float(one.text or "")
        for one in element.findall("./energy/i")
        if one.get("name") in ("e_0_energy", "e_fr_energy")
    }


def _why_not_relaxed(kind: int, steps: int, at_its_end: bool) -> str:
    if steps > 1 and kind == 0:
        return "it is molecular dynamics: its last step is no relaxed structure"
    if kind in (5, 6, 7, 8):
        return "it displaces atoms (IBRION 5 to 8): its energies are not those of the structure"
    if steps > 1 and kind > 0 and at_its_end:
        return f"its ions did not converge within NSW = {steps} steps"
    return ""


def _unless(reason: str, found: Mapping[str, float]) -> Targets:
    if not reason:
        return dict(found)
    return dict.fromkeys(found, Failure("UnconvergedError", f"the run is refused: {reason}"))


def outcar_targets(text: str, atoms: int, volume: float) -> Targets:
    """The same of an ``OUTCAR``, without a band gap.

    Raises
    ------
    UnreadableFileError
        If the run did not end.
    OtherStructureError
        If it ended with another structure.
    """
    if "General timing and accounting" not in text:
        raise UnreadableFileError("it was cut off, or its run did not end")
    stated = re.search(r"NIONS\s*=\s*(\d+)", text)
    volumes = re.findall(r"volume of cell\s*:\s*([\d.]+)", text)
    if stated is None or not volumes:
        raise UnreadableFileError("it does not say its number of atoms and its volume")
    if int(stated[1]) != atoms or abs(float(volumes[-1]) / volume - 1) > _SAME_VOLUME:
        raise OtherStructureError(
            f"its run ended with another structure ({stated[1]} atoms in {volumes[-1]} Å³, not "
            f"{atoms} in {volume:.2f} Å³)"
        )
    energies = re.findall(r"energy\(sigma->0\)\s*=\s*(-?[\d.]+)", text)
    if not energies:
        return {}
    found = {"energy": float(energies[-1]), "energy_per_atom": float(energies[-1]) / atoms}
    moments = re.findall(
        r"number of electron\s+-?[\d.]+\s+magnetization\s+(-?[\d.]+)[ \t]*$", text, re.MULTILINE
    )
    if moments:
        found["total_magnetization"] = float(moments[-1])
    ends = re.findall(r"aborting loop (because EDIFF is reached|EDIFF was not reached)", text)
    if ends and ends[-1].startswith("EDIFF was"):
        return _unless("its electrons did not converge", found)
    kind, steps = (_number(name, text) for name in ("IBRION", "NSW"))
    return _unless(
        _why_not_relaxed(kind, steps, "reached required accuracy - stopping" not in text), found
    )


def _number(name: str, text: str) -> int:
    found = re.search(rf"\b{name}\s*=\s*(-?\d+)", text)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class RunFile:
    """The ``vasprun.xml`` or ``OUTCAR`` that a structure lies beside.

    Parameters
    ----------
    name : str
        Without folders.
    path : Path, optional
        Where it lies.
    data : bytes, optional
        What is in it, for a member of an archive; may be compressed.
    refused : str
        Why it is not read, in words.
    """

    name: str
    path: Path | None = None
    data: bytes | None = None
    refused: str = ""

    def read(self) -> bytes:
        """What is in it, unpacked.

        Raises
        ------
        LimitError, UnreadableFileError
            As `read_whole` and `unpacked`; if it is refused.
        """
        if self.refused:
            raise LimitError(self.refused)
        return read_whole(self.path) if self.path is not None else unpacked(self.data or b"")


def runs_beside(name: str) -> Iterator[str]:
    """How the run may be called that a POSCAR or CONTCAR belongs to, the best first."""
    plain = without_compression(name)
    if plain.lower().startswith(("contcar", "poscar")):
        rest = re.sub("^(contcar|poscar)", "", plain, flags=re.IGNORECASE)
        for run in (f"vasprun.xml{rest}", f"OUTCAR{rest}"):
            yield from (run + compression for compression in ("", *COMPRESSIONS))


def run_beside(path: Path) -> RunFile | None:
    """The run of the folder that a POSCAR or CONTCAR lies in."""
    for name in runs_beside(path.name):
        if (beside := path.with_name(name)).is_file():
            return RunFile(name, beside)
    return None


def targets_beside(run: RunFile, name: str, species: tuple[str, ...], volume: float) -> Targets:
    """What a run says about the structure beside it.

    Nothing about a POSCAR that it did not end with: that is what it began with. A run that cannot
    be used is the failure of its energy.
    """
    from ingest.structures.readers.base import Content
    from ingest.structures.readers.vasprun import read_vasprun

    begins = name.lower().startswith("poscar")
    try:
        content = Content(without_compression(run.name), run.read())
        if not run.name.startswith("vasprun"):
            return outcar_targets(content.text, len(species), volume)
        [found] = read_vasprun(content)
        last = found.structure
        if isinstance(last, Failure):
            raise UnreadableFileError(last.message)
        if last.species != species or abs(last.volume / volume - 1) > _SAME_VOLUME:
            raise OtherStructureError(
                f"its run ended with another structure ({last.n_atoms} atoms in {last.volume:.2f} "
                f"Å³, not {len(species)} in {volume:.2f} Å³)"
            )
        return dict(found.targets)
    except InvalidStructureError as error:
        if begins and isinstance(error, OtherStructureError):
            return {}
        return {"energy": Failure(type(error).__name__, f"{run.name} beside {name}: {error}")}
