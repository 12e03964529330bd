"""Real structure files of many projects: stored, noted, refused; agreement with plain libraries."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.options import processor_time
from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.machine.workers import WorkerPool
from ingest.structures.analysis import Analysis, analyse
from ingest.structures.records import MaterialRecord, NotAStructure
from ingest.structures.sources import expand_sources, read_sources

_VOLUME = 1e-3  # relative


@dataclass
class _File:
    """What became of one file: notes by kind, rules of refusal, structures."""

    stored: list[tuple[Crystal, Analysis, tuple[str, ...]]] = field(default_factory=list)
    refused: list[Failure] = field(default_factory=list)
    passed_over: bool = False

    @property
    def count(self) -> str:
        if self.passed_over:
            return "not a structure file"
        if not self.stored:
            return "refused"
        if self.refused:
            return "some blocks stored, others refused"
        return "stored with notes" if any(notes for *_, notes in self.stored) else "stored"


def _take(file: _File, record: MaterialRecord) -> None:
    structure = record.structure
    if isinstance(structure, NotAStructure):
        file.passed_over = True
        return
    found = analyse(structure) if isinstance(structure, Crystal) else structure
    if isinstance(found, Failure):
        file.refused.append(found)
        return
    assert isinstance(structure, Crystal)
    notes = [*record.notes, *found.notes]
    if record.space_group not in (None, 1, found.symmetry.space_group_number):
        notes.append(f"space group: {record.space_group} in the file")
    file.stored.append((structure, found, tuple(notes)))


def _print(title: str, counts: Mapping[str, int]) -> None:
    print(f"\n{title}")
    for name, number in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        print(f"{number:6d}  {name}")


def _same_cell(crystal: Crystal, n: int, counts: Mapping[str, float], volume: float) -> str:
    """What differs of atoms, composition or volume; empty if nothing does."""
    if n != crystal.n_atoms:
        return "atoms"
    ours = Counter(crystal.species)
    theirs = {"H" if symbol in ("D", "T") else symbol: value for symbol, value in counts.items()}
    if set(theirs) != set(ours) or any(abs(theirs[one] - ours[one]) > 1e-3 for one in ours):
        return "composition"
    return "" if abs(volume - crystal.volume) <= _VOLUME * crystal.volume else "volume"


def _ase_counts(formula: str) -> dict[str, float]:
    found: Counter[str] = Counter()
    for symbol, amount in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        found[symbol] += int(amount or 1)
    return dict(found)


def _against_pymatgen(file: _File, reference: Mapping[str, Any]) -> tuple[str, bool]:
    """How pymatgen's reading compares, of the first structure, and whether there is a note."""
    theirs = reference.get("pmg")
    noted = any(notes for *_, notes in file.stored) or bool(file.refused)
    if theirs is None:
        return f"pymatgen reads none: {reference.get('pmgerr', '')[:40]}", noted
    best = "atoms"
    for crystal, found, _ in file.stored:
        apart = _same_cell(crystal, theirs["n"], theirs["counts"], theirs["vol"])
        if not apart:
            same = theirs.get("sg") in (None, found.symmetry.space_group_number)
            return ("same" if same else "space group"), noted
        best = apart
    return best, noted


def _against_ase(file: _File, reference: Mapping[str, Any]) -> tuple[str, bool]:
    noted = any(notes for *_, notes in file.stored) or bool(file.refused)
    theirs = reference.get("ase")
    if not theirs:
        return f"ASE reads none: {reference.get('aseerr', '')[:40]}", noted
    apart = {
        min(
            (
                _same_cell(crystal, one["n"], _ase_counts(one["formula"]), one["vol"])
                for one in theirs
            ),
            key=len,
        )
        for crystal, *_ in file.stored
    }
    return next((one for one in ("atoms", "composition", "volume") if one in apart), "same"), noted


@click.group()
def main() -> None:
    """Read FOLDER of structure files, or measure the rate of reading."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--reference", type=click.Path(path_type=Path, exists=True))
@click.option("--list", "listed", is_flag=True, help="Also list every refusal and note.")
def table(folder: Path, reference: Path | None, listed: bool) -> None:
    """Count what becomes of every file, by which rule, and compare with the REFERENCE's readings.

    The reference has a JSON object a line: ``file``, ``pmg`` (n, counts, vol, sg) and ``ase``.
    """
    sources = expand_sources([str(folder)])
    files: dict[str, _File] = defaultdict(_File)
    for record in read_sources(sources):
        _take(files[record.source_file], record)
    assert {source.inside for source in sources} == set(files)
    _print(f"{len(files)} files", Counter(file.count for file in files.values()))
    stored = sum(len(file.stored) for file in files.values())
    refused = Counter(one.error for file in files.values() for one in file.refused)
    _print(f"{stored} structures stored, {sum(refused.values())} refused by the rule", refused)
    kinds = Counter(
        kind
        for file in files.values()
        for *_, notes in file.stored
        for kind in {note.partition(":")[0] for note in notes}
    )
    _print("stored structures with a note on", kinds)
    if listed:
        for name, file in files.items():
            for one in file.refused:
                print(f"{one.error}  {one.message}")
            for *_, notes in file.stored:
                for note in notes:
                    print(f"noted  {name}: {note}")
    if reference is not None:
        _compare(files, [json.loads(line) for line in reference.read_text("utf-8").splitlines()])


def _compare(files: Mapping[str, _File], rows: Sequence[Mapping[str, Any]]) -> None:
    for library, judge in (("pymatgen", _against_pymatgen), ("ASE", _against_ase)):
        counts: Counter[str] = Counter()
        silent: list[str] = []
        for row in rows:
            name = row["file"].partition("/")[2]
            file = files.get(name)
            if file is None or not file.stored:
                continue
            verdict, noted = judge(file, row)
            counts[f"{verdict}{'' if verdict == 'same' else ', noted' if noted else ''}"] += 1
            if verdict in ("atoms", "composition", "volume", "space group") and not noted:
                silent.append(f"{name}: {verdict}")
        _print(f"stored files against plain {library}", counts)
        print(f"{len(silent)} disagreements without a note", *silent, sep="\n        ")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--n", default=2000, show_default=True, help="Number of files.")
@click.option("--workers", default=2, show_default=True, help="Processes.")
def rate(folder: Path, n: int, workers: int) -> None:
    """Time the reading of N CIF files, FOLDER's over and over, against pymatgen alone."""
    given = [
        path
        for path in sorted(folder.rglob("*.cif"))
        if "_atom_site_fract_x" in path.read_text("latin-1")
    ]
    with tempfile.TemporaryDirectory() as place:
        for number in range(n):
            source = given[number % len(given)]
            (Path(place) / f"{number:05}.cif").write_bytes(source.read_bytes())
        start, worked = time.perf_counter(), processor_time()
        with WorkerPool(workers) as pool:
            records = list(read_sources(expand_sources([place]), pool=pool))
        seconds, cpu = time.perf_counter() - start, processor_time() - worked
        here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        good = sum(isinstance(record.structure, Crystal) for record in records)
        print(f"ours, {workers} processes: {n / seconds:.0f} files/s, {cpu:.0f} s of CPU, ", end="")
        print(f"{good} structures; ", end="")
        print(f"peak {here:.0f} MiB, {worker:.0f} MiB in the largest process")
        plain = [sys.executable, "-c", _PLAIN, place]
        print(subprocess.run(plain, check=True, capture_output=True, text=True).stdout, end="")


_PLAIN = """
import resource, sys, time, warnings
from pathlib import Path
from pymatgen.io.cif import CifParser
warnings.simplefilter("ignore")
paths = sorted(Path(sys.argv[1]).glob("*.cif"))
start, good = time.perf_counter(), 0
for path in paths:
    try:
        good += len(CifParser(path, occupancy_tolerance=1.0).parse_structures(primitive=False))
    except Exception:
        pass
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"pymatgen alone, 1 process: {len(paths) / seconds:.0f} files/s, "
      f"{time.process_time():.0f} s of CPU, {good} structures, "
      f"disordered ones included; peak {peak:.0f} MiB")
"""


if __name__ == "__main__":
    main()
