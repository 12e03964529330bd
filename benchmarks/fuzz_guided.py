"""Coverage-guided files for the readers: what reaches new lines is kept, and changed further.

An input is made by the grammar of its format (`fuzz_grammar`, `fuzz_weights`), or is one of those
kept, after random changes (`fuzz.mutated`); it is read as by `benchmarks.fuzz`, with the same
violations, in a process of its own kind, whose end by a signal is one, too. Kept inputs and those
that were violations are files of a folder, from which the same command goes on:

    python -m benchmarks.fuzz_guided --seconds 300 --folder corpus
    python -m benchmarks.fuzz_guided --reader cif --file corpus/cif/wrong/0123456789
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import click

from benchmarks.forked import ended, started
from benchmarks.fuzz import (
    READERS,
    Reader,
    limited_memory,
    mutated,
    outcome,
    read_registry,
    read_split,
    read_structures,
    read_targets,
)
from benchmarks.fuzz_grammar import GRAMMARS
from benchmarks.fuzz_weights import read_weights, weights_file
from featurestore.identity import sha256_hex

_ROOTS = tuple(
    str(Path(__file__).parents[1] / room) + os.sep for room in ("featurestore", "ingest")
)
_BY_GRAMMAR = 0.4
_LAST = "last"


@dataclass(frozen=True)
class Target:
    """A reader and how its files are made."""

    reader: Reader
    make: Callable[[random.Random], bytes]


def _target(name: str, file_name: str, read: Callable[[Path], bool]) -> Target:
    return Target(Reader(read, file_name, list, 0), GRAMMARS[name])


TARGETS = {
    "cif": _target("cif", "c.cif", read_structures),
    "poscar": _target("poscar", "p.vasp", read_structures),
    "extxyz": _target("extxyz", "x.extxyz", read_structures),
    "structure.json": _target("structure.json", "s.json", read_structures),
    "csv": _target("csv", "targets.csv", read_targets),
    "json lines": _target("json lines", "targets.jsonl", read_targets),
    "toml": _target("toml", "registry.toml", read_registry),
    "split": Target(
        Reader(read_split, "split.json", list, 0),
        lambda random_: mutated(random_.choice(READERS["split"].seeds()), random_),
    ),
    "weights": Target(Reader(read_weights, "weights.bin", list, 0), weights_file),
}


class Lines:
    """The lines of this package that ran while it was entered."""

    def __init__(self) -> None:
        self.ran: set[tuple[CodeType, int]] = set()

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Note the lines that run in here."""
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: object) -> Any:
        del event, argument
        return self._line if frame.f_code.co_filename.startswith(_ROOTS) else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        del argument
        if event == "line":
            self.ran.add((frame.f_code, frame.f_lineno))
        return self._line


def explore(name: str, seconds: float, folder: Path, seed: int) -> dict[str, Any]:
    """Read inputs for so long; how many were accepted, refused and violations, by kind.

    Parameters
    ----------
    name : str
        Of the target.
    seconds : float
        How long.
    folder : Path
        Where its kept inputs are, and ``wrong`` ones.
    seed : int
        Of what is drawn.
    """
    target, random_ = TARGETS[name], random.Random(f"{name} {seed}")
    kept = [path.read_bytes() for path in sorted(folder.glob("[0-9a-f]*"))]
    lines, known = Lines(), 0
    counts: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as place:
        for data in kept or [target.make(random_)]:
            with lines.traced():
                outcome(target.reader, data, Path(place))
        known = len(lines.ran)
        end = time.monotonic() + seconds
        with limited_memory():
            while time.monotonic() < end:
                if not kept or random_.random() < _BY_GRAMMAR:
                    data = target.make(random_)
                    data = mutated(data, random_) if random_.random() < 0.3 else data
                else:
                    data = mutated(random_.choice(kept), random_)
                (folder / _LAST).write_bytes(data)
                with lines.traced():
                    found = outcome(target.reader, data, Path(place))
                counts["inputs"] += 1
                counts[found if found in ("accepted", "refused") else "violations"] += 1
                digest = sha256_hex(data)[:10]
                if found not in ("accepted", "refused"):
                    _keep(folder / "wrong" / digest, data)
                    wrong.setdefault(found.partition(":")[0], f"{found} ({digest})")
                if len(lines.ran) > known:
                    known = len(lines.ran)
                    kept.append(data)
                    _keep(folder / digest, data)
    return {**counts, "lines": known, "kept": len(kept), "wrong": list(wrong.values())}


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def explored(name: str, seconds: float, folder: Path, seed: int) -> dict[str, Any]:
    """`explore` in a process of its own; its end by a signal is a violation."""
    folder.mkdir(parents=True, exist_ok=True)
    process = started(lambda: explore(name, seconds, folder, seed))
    code, found = ended(*process, 10 * seconds + 600)
    if isinstance(found, dict):
        return found
    data = (folder / _LAST).read_bytes() if (folder / _LAST).exists() else b""
    digest = sha256_hex(data)[:10]
    _keep(folder / "wrong" / digest, data)
    return {"inputs": 1, "violations": 1, "wrong": [f"ended with {code}: {found} ({digest})"]}


@click.command()
@click.option("--reader", "chosen", type=click.Choice(list(TARGETS)), multiple=True)
@click.option("--seconds", default=60.0, show_default=True, help="For each reader.")
@click.option("--folder", type=click.Path(path_type=Path), help="Of kept inputs and the record.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="Only read this input.")
def main(chosen: tuple[str, ...], seconds: float, folder: Path | None, file: Path | None) -> None:
    """Look for inputs that the readers must not take so."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        if file is not None:
            for name in chosen:
                print(outcome(TARGETS[name].reader, file.read_bytes(), Path(temporary)))
            return
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        record = place / "record.jsonl"
        for name in chosen or TARGETS:
            before = len(_lines(record))
            found = explored(name, seconds, place / name.replace(" ", "-"), before)
            with record.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"reader": name, "s": seconds, **found}) + "\n")
            for problem in found["wrong"]:
                print(f"VIOLATION {name}: {problem}", flush=True)
        sys.exit(bool(_print_table(_lines(record))))


def _lines(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def _print_table(lines: list[dict[str, Any]]) -> int:
    """All runs on record by reader; how many violations there were."""
    counted = ("inputs", "accepted", "refused", "violations")
    head = "".join(f"{what:>10} " for what in counted)
    print(f"{'reader':16}{head}{'lines':>7}")
    total: Counter[str] = Counter()
    for name in dict.fromkeys(line["reader"] for line in lines):
        of_one = [line for line in lines if line["reader"] == name]
        row = {what: sum(line.get(what, 0) for line in of_one) for what in counted}
        total.update(row)
        cells = "".join(f"{row[what]:10,} " for what in counted)
        print(f"{name:16}{cells}{max(line.get('lines', 0) for line in of_one):7,}")
    cells = "".join(f"{total[what]:10,} " for what in counted)
    print(f"{'all':16}{cells}")
    return total["violations"]


if __name__ == "__main__":
    main()
