"""Malformed input for every reader: refused by name, or read with finite numbers; never a crash.

Valid seeds (the bundled sample and small files of every kind) are mutated: bytes flipped, ranges
cut or doubled, numbers replaced by NaN, infinities and numbers of thousands of digits, brackets
nested a hundred thousand deep. Every input is read as the commands read it. What counts as a
violation:

- an exception that is no `FeatureStoreError`, or one that does not name the file;
- a message or a name that cannot be written as UTF-8;
- a number that is accepted and is not finite;
- more than some seconds of processor time, or more memory than the input is worth.

Every input follows from the reader's name, the seed and its number, so each can be made again:

    python -m benchmarks.fuzz
    python -m benchmarks.fuzz --reader poscar --first 1234 --scale 0 --show
"""

from __future__ import annotations

import io
import json
import math
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np

from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError
from featurestore.failure import Failure
from featurestore.history.snapshots import check_new_name
from featurestore.history.versions import tables_at
from featurestore.identity import versioned_id
from featurestore.registry import PropertyRegistry, load_registry
from featurestore.tables.schemas import embedding_table, table_schema
from featurestore.texts.variants import parse_variant
from ingest.library.targets import opened_targets
from ingest.sample import sample_archive
from ingest.stages.folds import parse_parts
from ingest.stages.splits import property_of_file, read_split_file
from ingest.structures.analysis import analyse
from ingest.structures.sources import expand_sources, read_sources
from ingest.targets.cells import parse_target, parse_targets

SECONDS = 10.0  # of processor time for one input
MEMORY = 2 << 30  # bytes that reading one input may add

_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_NUMBERS = [
    *(b"NaN nan Infinity -Infinity inf -inf 1e400 -1e400 1e308 -1e308 1e200 1e-320".split()),
    *(b"0 -0.0 -1 1e17 99999999 1000000000 9223372036854775808 1_000 0x10 1,5 1/3 true".split()),
    *(b'null "nan" "1e999" [] {} ""'.split()),
    b"9" * 400,
    b"9" * 5000,
    "٣".encode(),
    "²".encode(),
]
_TOKENS = [
    *(b"\" ' { } [ ] , : ; = # _ \\ / \n \r \t \x00 \xff \xc3\x28 data_ loop_".split(b" ")),
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\u0000",
    b"\xed\xa0\x80",
    b"../../etc/passwd",
    b"=cmd|'/c calc'!A1",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"a" * 200_000,
    *_NUMBERS,
]


class _TooSlowError(BaseException):
    """Raised by the alarm; no reader's ``except Exception`` may swallow it."""


class Violation(Exception):
    """What a reader did that it must not do."""


@dataclass(frozen=True)
class Reader:
    """A reader, its valid seeds and how an input is given to it.

    Parameters
    ----------
    read : callable
        Reads one input; True if it was accepted, False where it is a `Failure`. Raises
        `FeatureStoreError` or `Violation`.
    file_name : str
        What the input is written to; empty if the input is a name itself.
    share : int
        Number of inputs of a full run.
    """

    read: Callable[[Path], bool] | Callable[[str], bool]
    file_name: str
    seeds: Callable[[], Sequence[bytes]]
    share: int


def mutated(data: bytes, random_: random.Random) -> bytes:
    """``data`` after one to four random changes."""
    for _ in range(random_.choice((1, 1, 1, 2, 2, 3, 4))):
        data = random_.choice(_MUTATIONS)(data, random_)
    return data


def _flip(data: bytes, random_: random.Random) -> bytes:
    changed = bytearray(data or b" ")
    for _ in range(random_.choice((1, 1, 2, 8))):
        changed[random_.randrange(len(changed))] = random_.randrange(256)
    return bytes(changed)


def _cut(data: bytes, random_: random.Random) -> bytes:
    return data[: random_.randint(0, len(data))]


def _range(data: bytes, random_: random.Random) -> tuple[int, int]:
    start = random_.randint(0, len(data))
    return start, min(len(data), start + random_.choice((1, 2, 8, 64)))


def _remove(data: bytes, random_: random.Random) -> bytes:
    start, stop = _range(data, random_)
    return data[:start] + data[stop:]


def _double(data: bytes, random_: random.Random) -> bytes:
    start, stop = _range(data, random_)
    return data[:stop] + data[start:]


def _insert(data: bytes, random_: random.Random) -> bytes:
    start, stop = _range(data, random_)
    token = random_.choice(_TOKENS)
    return data[:start] + token + data[start if random_.random() < 0.5 else stop :]


def _renumber(data: bytes, random_: random.Random) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return _insert(data, random_)
    where = random_.choice(found)
    return data[: where.start()] + random_.choice(_NUMBERS) + data[where.end() :]


def _lines(data: bytes, random_: random.Random) -> bytes:
    """A line doubled, dropped or moved: in indented JSON that makes doubled keys."""
    lines = data.split(b"\n")
    line = lines.pop(random_.randrange(len(lines)))
    for _ in range(random_.choice((0, 1, 2))):
        lines.insert(random_.randint(0, len(lines)), line)
    return b"\n".join(lines)


def _retype(data: bytes, random_: random.Random) -> bytes:
    """A JSON value replaced by one of another type; other data get a number replaced."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _renumber(data, random_)
    places = list(_places(document))
    if not places:
        return _renumber(data, random_)
    holder, key = random_.choice(places)
    holder[key] = random_.choice(
        (None, True, math.nan, -math.inf, 10**400, "", "\ud800", [], {}, [[1, [2]]], "x", -1)
    )
    return json.dumps(document, indent=1).encode()


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(node, dict | list):
        return
    keys = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        yield node, key
        yield from _places(node[key])


_MUTATIONS = (_flip, _cut, _remove, _double, _insert, _renumber, _renumber, _lines, _retype)


def zip_of(data: bytes, random_: random.Random) -> bytes:
    """A mutated archive of the data, or a whole archive of mutated data."""
    inside = random_.random() < 0.5
    packed = io.BytesIO()
    method = random_.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("a.json", mutated(data, random_) if inside else data)
    return packed.getvalue() if inside else mutated(packed.getvalue(), random_)


def _encodable(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Violation(f"{what} is no UTF-8: {text[:80]!r}") from error


def _finite(values: Any, what: str) -> None:
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        raise Violation(f"{what} is not finite: {values!r:.80}")


def _refused(failure: Failure) -> None:
    _encodable(failure.message, "the message of a failure")
    if failure.error == "MemoryError":
        raise Violation("out of memory")


def read_structures(path: Path) -> bool:
    """Read a source as ``ingest structures`` does, up to the rows it would write."""
    registry = _registry()
    accepted = False
    for record in read_sources(expand_sources([str(path)])):
        if record.source_file.partition("/")[0] != path.name:
            raise Violation(f"the record names the file {record.source_file!r}")
        _encodable(record.material_id, "a material id")
        for name, value in record.targets.items():
            _encodable(name, "the name of a field")
            if name in registry:
                _check_target(value)
        if isinstance(record.structure, Failure):
            _refused(record.structure)
            continue
        crystal: Crystal = record.structure
        found = crystal.structure_id and analyse(crystal)
        if isinstance(found, Failure):
            _refused(found)
            continue
        accepted = True
        _finite(crystal.lattice, "the lattice")
        _finite(crystal.frac_coords, "a coordinate")
        _finite(crystal.wrapped_coords, "a wrapped coordinate")
        _finite(crystal.volume, "the volume")
    return accepted


def _check_target(value: object) -> None:
    number = parse_target(value)
    if isinstance(number, Failure):
        _refused(number)
    elif number is not None:
        _finite(number, "a target")


def read_targets(path: Path) -> bool:
    """Read a file of targets, and each value, in a column and alone."""
    file = opened_targets(path, _registry())
    for batch in file.table.batches([file.columns.ids, *file.columns.targets]):
        for column, target in file.columns.targets.items():
            if target.name not in _registry():
                raise Violation(f"a value of the unknown property {target.name!r}")
            cells = batch.columns[column]
            numbers, refused = parse_targets(cells)
            for place, (cell, number) in enumerate(zip(cells, numbers, strict=True)):
                alone = parse_target(cell)
                if isinstance(alone, Failure) != (place in refused):
                    raise Violation(f"{cell!r} is refused in one way of reading alone")
                if isinstance(alone, float) and alone != number:
                    raise Violation(f"{cell!r} is {alone} or {number}")
                _check_target(cell)
    return True


def read_registry(path: Path) -> bool:
    """Read a property registry."""
    for entry in load_registry(path).properties.values():
        _encodable(entry.name + entry.unit, "a name or unit")
        _finite(entry.plausible, "a range")
        if not entry.plausible[0] < entry.plausible[1]:
            raise Violation(f"an empty range {entry.plausible}")
    return True


def read_split(path: Path) -> bool:
    """Read a split file."""
    for name, fold in read_split_file(path).items():
        _encodable(name, "a material id")
        if not name or fold not in ("train", "val", "test"):
            raise Violation(f"{name!r} in fold {fold!r}")
    return True


class _NoTables:
    """Tables of an empty store."""

    uri = "empty"
    storage = SimpleNamespace(uri=uri, is_local=True)

    def names(self) -> list[str]:
        return []

    def dataset(self, name: str) -> None:
        del name


def name_of_snapshot(name: str) -> bool:
    check_new_name(_NoTables(), name)  # type: ignore[arg-type]
    if not name.isascii() or "/" in name or "\\" in name or ".." in name:
        raise Violation(f"a snapshot may be called {name!r}")
    return True


def moment(name: str) -> bool:
    tables_at(_NoTables(), name)  # type: ignore[arg-type]
    return True


def variant(name: str) -> bool:
    tags = ("summary", "bond length", "other")
    parsed = parse_variant(name, tags, tags)
    if parse_variant(str(parsed), tags, tags) != parsed:
        raise Violation(f"{name!r} and {str(parsed)!r} differ")
    return True


def fractions(name: str) -> bool:
    parts = parse_parts(name)
    _finite(np.array(parts, dtype=object), "a part")
    return min(parts) > 0


def property_name(name: str) -> bool:
    return _registry()[name].name == name


def split_file_name(name: str) -> bool:
    return property_of_file(Path(name)) is not None


def encoder_name(name: str) -> bool:
    """Whatever an encoder is called, its table gets a name that the store knows."""
    table_schema(embedding_table("text", versioned_id(name, {"name": "x"})), 8)
    return True


def _registry(built_in: list[PropertyRegistry] = []) -> PropertyRegistry:  # noqa: B006
    if not built_in:
        built_in.append(load_registry())
    return built_in[0]


def _jarvis_seeds() -> list[bytes]:
    with zipfile.ZipFile(sample_archive()) as archive:
        entries = json.loads(archive.read(archive.namelist()[0]))
    small = sorted(entries, key=lambda entry: len(entry["atoms"]["elements"]))[:12]
    return [json.dumps(small[n : n + 2], indent=1).encode() for n in range(0, 12, 2)]


def _structure_json_seeds() -> list[bytes]:
    import ase.io
    from pymatgen.core import Structure

    structure = Structure(np.eye(3) * 4.0, ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    written = io.StringIO()
    ase.io.write(written, structure.to_ase_atoms(), format="json")
    [first, *_] = json.loads(_jarvis_seeds()[0])
    documents = [structure.as_dict(), json.loads(written.getvalue()), first["atoms"]]
    return [json.dumps(document, indent=1).encode() for document in documents]


_CIF = b"""data_CsCl
_cell_length_a 4.0
_cell_length_b 4.0(1)
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P m -3 m'
_symmetry_Int_Tables_number 221
_chemical_formula_sum 'Cs Cl'
_cell_formula_units_Z 1
loop_
 _symmetry_equiv_pos_as_xyz
 'x, y, z'
 '-x, -y, -z'
loop_
 _atom_site_label
 _atom_site_type_symbol
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
 Cs1 Cs 0 0 0 1
 Cl1 Cl 0.5 0.5 0.5 1.0
"""
_POSCAR = b"""CsCl
1.0
4 0 0
0 4.25 0
0.5 0 4
Cs Cl
1 2
Selective dynamics
Direct
0 0 0 T T F
0.5 0.5 0.5 T T T
0.25 0.5 0.1 F F F
"""
_CSV = b"""jid,slme,mbj_bandgap
J-1,12.5,0.3
"J-2, a",na,-1e-3
J-3,,4
"""
_TOML = b"""[gap]
unit = "eV"
range = [-1, 20.5]
["bulk modulus"]
unit = "GPa"
range = [0, 1e3]
"""
_SPLIT = b"""{
 "id_train": ["J-1", "J-2",
 "J-3"],
 "id_val": ["J-4"],
 "id_test": ["J-5", "\\u00e9"]
}
"""

READERS = {
    "jarvis.json": Reader(read_structures, "a.json", _jarvis_seeds, 8_000),
    "jarvis.json.zip": Reader(read_structures, "a.json.zip", _jarvis_seeds, 5_000),
    "structure.json": Reader(read_structures, "s.json", _structure_json_seeds, 3_000),
    "cif": Reader(read_structures, "c.cif", lambda: [_CIF], 2_000),
    "poscar": Reader(read_structures, "p.vasp", lambda: [_POSCAR], 8_000),
    "csv": Reader(read_targets, "targets.csv", lambda: [_CSV], 20_000),
    "toml": Reader(read_registry, "registry.toml", lambda: [_TOML], 10_000),
    "split": Reader(read_split, "split.json", lambda: [_SPLIT], 18_000),
    "snapshot name": Reader(name_of_snapshot, "", lambda: [b"before-tuning_1.0"], 10_000),
    "moment": Reader(moment, "", lambda: [b"2026-11-22", b"2026-11-22T18:30+01:00"], 6_000),
    "variant": Reader(
        variant, "", lambda: [b"full", b"without:bond length,other", b"only:reference:other"], 8_000
    ),
    "fractions": Reader(fractions, "", lambda: [b"80/10/10"], 8_000),
    "property name": Reader(property_name, "", lambda: [b"mbj_bandgap", b"Tc_supercon"], 4_000),
    "split file name": Reader(
        split_file_name, "", lambda: [b"dataset_split_Tc_supercon.json"], 4_000
    ),
    "encoder name": Reader(encoder_name, "", lambda: [b"MatBERT", b"alignn mp_e_form"], 4_000),
}


def made_input(name: str, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """The input of that number for a reader."""
    random_ = random.Random(f"{name} {seed} {number}")
    data = random_.choice(seeds)
    return zip_of(data, random_) if name.endswith(".zip") else mutated(data, random_)


def outcome(reader: Reader, data: bytes, folder: Path) -> str:
    """``accepted``, ``refused``, or what is wrong."""
    path = folder / reader.file_name
    given: Any = path
    if reader.file_name:
        path.write_bytes(data)
    else:
        # As an argument of a command that is no UTF-8.
        given = data.decode("utf-8", "surrogateescape")
    try:
        with _processor_time():
            return "accepted" if reader.read(given) else "refused"
    except FeatureStoreError as error:
        try:
            _encodable(str(error), "the message")
        except Violation as violation:
            return str(violation)
        named = not reader.file_name or path.name in str(error)
        return "refused" if named else f"does not name the file: {error!s:.120}"
    except _TooSlowError:
        return f"took more than {SECONDS:g} s"
    except Violation as violation:
        return str(violation)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return f"{type(error).__name__} at {place}: {error!s:.120}"


@contextmanager
def _processor_time() -> Iterator[None]:
    """Raise in here when `SECONDS` of processor time have passed."""

    def interrupt(*_: object) -> None:
        raise _TooSlowError

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def limited_memory() -> Iterator[None]:
    """Let the process take `MEMORY` more than it has now; beyond that is a `MemoryError`."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@click.command()
@click.option("--reader", "chosen", type=click.Choice(list(READERS)), multiple=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--first", default=0, show_default=True, help="Number of the first input.")
@click.option("--scale", default=1.0, show_default=True, help="Share of the inputs; 0 is one.")
@click.option("--show", is_flag=True, help="Print the inputs too.")
def main(chosen: tuple[str, ...], seed: int, first: int, scale: float, show: bool) -> None:
    """Read malformed inputs and count what the readers make of them."""
    warnings.simplefilter("ignore")
    totals = [0, 0, 0, 0]
    click.echo(
        f"{'reader':16} {'inputs':>8} {'accepted':>9} {'refused':>8} {'violations':>11}      s"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen or READERS:
            reader = READERS[name]
            seeds = reader.seeds()
            # Whatever a reader loads at first is none of the first input's memory or time.
            for data in seeds:
                outcome(reader, data, Path(folder))
            violations: dict[str, list[tuple[int, str]]] = {}
            counts = {"accepted": 0, "refused": 0}
            start = time.perf_counter()
            numbers = range(first, first + max(1, round(reader.share * scale)))
            with limited_memory():
                for number in numbers:
                    data = made_input(name, seeds, seed, number)
                    if show:
                        click.echo(repr(data[:2000]))
                    found = outcome(reader, data, Path(folder))
                    if found in counts:
                        counts[found] += 1
                    else:
                        kind = found.split(":")[0]
                        violations.setdefault(kind, []).append((number, found))
            wrong = sum(map(len, violations.values()))
            row = (len(numbers), counts["accepted"], counts["refused"], wrong)
            totals = [total + count for total, count in zip(totals, row, strict=True)]
            seconds = time.perf_counter() - start
            _print_row(name, row, seconds)
            for which in violations.values():
                example, found = which[0]
                click.echo(f"    {len(which)} x {found}: --reader {name!r} --first {example}")
    _print_row("all", totals, None)
    sys.exit(bool(totals[3]))


def _print_row(name: str, row: Sequence[int], seconds: float | None) -> None:
    inputs, accepted, refused, wrong = (f"{count:,}" for count in row)
    taken = "" if seconds is None else f"{seconds:.0f}"
    click.echo(f"{name:16} {inputs:>8} {accepted:>9} {refused:>8} {wrong:>11} {taken:>6}")


if __name__ == "__main__":
    main()
