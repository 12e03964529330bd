"""Hostile rows in every column of every table: nothing that opens or checks the store may crash.

A small store is copied in memory of its rows; into a table comes one more row (or several, with
`--together`), with a hostile value in one column: broken or deep JSON, names that are SQL, control
characters, numbers beyond all sense, nulls where none may be, lists of other lengths. Then the
store is opened, summarised, queried, and verified. What counts
as a violation:

- an exception that is no `FeatureStoreError`, in any of these;
- a store that no longer opens;
- a number of a target or vector that is not finite and that `verify` does not find;
- more than some seconds, or more memory than the rows are worth.

Every input follows from its number, so each can be made again:

    python -m benchmarks.fuzz_rows --count 2000 STORE
    python -m benchmarks.fuzz_rows --first 1234 --count 1 --show STORE
"""

from __future__ import annotations

import math
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import lance
import pyarrow as pa

from featurestore.errors import FeatureStoreError
from featurestore.history.lineage import model_lineage
from featurestore.output.rows import print_table
from featurestore.store import FeatureStore
from featurestore.summary import summarise
from featurestore.tables.schemas import TABLES
from featurestore.upkeep.verify import verify

SECONDS = 10.0
MEMORY = 2 << 30

_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "'",
        '"',
        "x'; DROP VIEW materials; --",
        "../../etc/passwd",
        "a\nb",
        "\x1b[2J",
    ),
    *("\u202e", "{", "[]", "{}", "null", "NaN", '{"a": NaN}', '{"a": 1e999}', '{"a": {"b": []}}'),
    *("9" * 5000, "x" * 100_000, "=1+1", "<script>", "😀", "structure", "text", "*", "running"),
    "[" * 100_000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    '{"folds": {"test": {"mae": "x", "n": null}}, "epochs": true}',
    '{"property": 1, "features": [], "variant": null}',
    '{"machine": 5, "boot": [], "process_start": {}}',
)
_WHOLE = (0, -1, 1, 7, 231, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
_REAL = (math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 1e308, 5e-324, 1e17)


def hostile(kind: pa.DataType, random_: random.Random, depth: int = 0) -> Any:
    """A value of an Arrow type that no command writes, or hardly."""
    if depth == 0 and random_.random() < 0.1:
        return None
    if pa.types.is_string(kind):
        return random_.choice(_TEXTS)
    if pa.types.is_integer(kind):
        bits = kind.bit_width - 1
        return max(-(2**bits), min(2**bits - 1, random_.choice(_WHOLE)))
    if pa.types.is_floating(kind):
        return random_.choice(_REAL)
    if pa.types.is_boolean(kind):
        return random_.choice((True, False))
    if pa.types.is_timestamp(kind):
        return random_.choice((datetime.min, datetime.max, datetime(1970, 1, 1))).replace(
            tzinfo=UTC
        )
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return random_.choice((b"", b"\0" * 8, b"\xff" * 100, b"{}"))
    if pa.types.is_fixed_size_list(kind):
        return [hostile(kind.value_type, random_, depth + 1) for _ in range(kind.list_size)]
    if pa.types.is_list(kind):
        length = random_.choice((0, 1, 2, 1000))
        return [hostile(kind.value_type, random_, depth + 1) for _ in range(length)]
    assert pa.types.is_struct(kind), kind
    return {field.name: hostile(field.type, random_, depth + 1) for field in kind}


@dataclass(frozen=True)
class Hostile:
    """One value where it does not belong.

    Parameters
    ----------
    number : int
        From which it follows.
    table, column : str
        Where it is.
    value : Any
        What it is.
    key : dict
        Of its row.
    """

    number: int
    table: str
    column: str
    value: Any
    key: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.number} {self.table}.{self.column} {self.value!r:.100}"

    @property
    def is_not_finite(self) -> bool:
        """Whether it is, or has, a number that `verify` must find."""
        numbers = self.value if isinstance(self.value, list) else [self.value]
        return any(isinstance(one, float) and not math.isfinite(one) for one in numbers)


def add_hostile_rows(folder: Path, numbers: Sequence[int]) -> list[Hostile]:
    """Append rows to tables of the store, one for each number."""
    tables = sorted(path.stem for path in folder.glob("*.lance"))
    added = []
    for place, table in enumerate(tables):
        here = [number for number in numbers if number % len(tables) == place]
        if not here:
            continue
        rows = lance.dataset(str(folder / f"{table}.lance")).to_table()
        schema = pa.schema([pa.field(one.name, one.type) for one in rows.schema])  # nulls and all
        first, fields, new = rows.schema.names[0], list(rows.schema), []
        for number in here:
            random_ = random.Random(number)
            row = rows.slice(0, 1).to_pylist()[0]
            field = random_.choice(fields)
            if random_.random() < 0.7 and isinstance(row[first], str):
                row[first] += f"_{number}"
            row[field.name] = value = hostile(field.type, random_)
            new.append(row)
            key = {name: row[name] for name in (TABLES[table].key if table in TABLES else [first])}
            added.append(Hostile(number, table, field.name, value, key))
        whole = pa.concat_tables([rows.cast(schema), pa.Table.from_pylist(new, schema=schema)])
        lance.write_dataset(whole, str(folder / f"{table}.lance"), mode="overwrite")
    return added


def look(folder: Path) -> None:
    """What users do with a store that they were given."""
    store = FeatureStore.open(folder)
    with store.session() as session:
        summarise(session)
        for table in sorted(session.versions):
            rows = session.read_only_query(f'FROM "{table}"')  # a name of a folder: a-z, 0-9, _
            with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
                for form in ("table", "csv", "ndjson"):
                    print_table(rows.slice(max(rows.num_rows - 3, 0)), form, stream)
        for sql in ("FROM coverage()", "SELECT count(*) FROM full_texts"):
            session.read_only_query(sql)
        for model in session.query("SELECT model_id FROM models")["model_id"].to_pylist():
            with_errors(lambda model=model: model_lineage(session, model))


def with_errors(action: Any) -> None:
    """Run; an error of the store is an answer."""
    try:
        action()
    except FeatureStoreError as error:
        str(error).encode()


def unnoticed(added: Sequence[Hostile], folder: Path) -> str | None:
    """What `verify` should have found and has not."""
    found = list(verify(FeatureStore.open(folder)))
    # Which of two rows of one key is meant, nobody can say: that there are two, is.
    is_doubled = any("occur more than once" in finding.problem for finding in found)
    for finding in found:
        finding.problem.encode()
        if " cannot be checked: " in finding.problem and not is_doubled:
            return f"verify: {finding.problem[:200]}"
    for one in added:
        if one.is_not_finite and not any(_tells(finding, one) for finding in found):
            return f"{one.table}.{one.column} is not finite, and verify finds nothing"
    return None


def _tells(finding: Any, one: Hostile) -> bool:
    """Whether it is of the row's table, and of the row itself if it names any."""
    if not finding.wrong or finding.table != one.table or finding.rows is None:
        return bool(finding.wrong) and finding.rows is None
    return any(one.key.items() <= row.items() for row in finding.rows.to_pylist())


def problem_of(store: Path, numbers: Sequence[int], show: bool = False) -> str | None:
    """What goes wrong in a copy of the store with the rows of these numbers."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "store"
        shutil.copytree(store, folder)
        added = add_hostile_rows(folder, numbers)
        if show:
            print(*added, sep="\n")
        began = time.process_time()
        try:
            look(folder)
            problem = unnoticed(added, folder)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            problem = (
                f"{type(error).__name__} {str(error)[:120]!r} "
                f"at {Path(last.filename).name}:{last.lineno}"
            )
        took = time.process_time() - began
        if problem is None and took > SECONDS:
            problem = f"{took:.0f} s"
        return problem


@click.command()
@click.option("--count", default=500, show_default=True, help="Rows to try.")
@click.option("--first", default=0, show_default=True, help="Number of the first.")
@click.option("--together", default=1, show_default=True, help="Rows in one store.")
@click.option("--seconds", default=1e9, help="Stop after so long.")
@click.option("--show", is_flag=True, help="Print each.")
@click.argument("store", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(count: int, first: int, together: int, seconds: float, show: bool, store: Path) -> None:
    """Try hostile rows in copies of STORE, a small one with a row in every table.

    What goes wrong with several in one store is looked for in halves of them.
    """
    warnings.simplefilter("ignore")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, used + MEMORY))
    violations: Counter[str] = Counter()
    started, done, end = time.monotonic(), 0, first + count
    waiting = deque(
        range(begin, min(begin + together, end)) for begin in range(first, end, together)
    )
    while waiting and time.monotonic() - started < seconds:
        numbers = waiting.popleft()
        problem = problem_of(store, numbers, show)
        half = len(numbers) // 2
        halves = (numbers[:half], numbers[half:]) if half else ()
        if problem is not None and any(problem_of(store, part) for part in halves):
            waiting.extendleft(reversed(halves))
            continue
        done += len(numbers)
        if problem is not None:
            violations[problem.split(" at ")[-1]] += 1
            print(f"VIOLATION {numbers[0]} to {numbers[-1]}: {problem}", flush=True)
    print(f"{done} hostile rows, {sum(violations.values())} violations")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
