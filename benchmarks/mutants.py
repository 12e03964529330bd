"""Whether the state machine would notice: faults put into the store on purpose, one at a time.

Each fault is one edit of a copy of the package; the state machine must then fail.

    python -m benchmarks.mutants
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
TEST = "tests/store/tables/test_state_machine.py"

#: What the fault is, the file, and its edits: the text that is there, and what takes its place.
FAULTS = (
    (
        "merge by the first key column alone",
        "tables.py",
        (("table.merge_insert(list(expected.key))", "table.merge_insert(list(expected.key)[:1])"),),
    ),
    (
        "compare by the first key column alone",
        "tables.py",
        (
            (
                "key, content = list(expected.key), list(expected.content)",
                "key, content = list(expected.key)[:1], list(expected.content)",
            ),
        ),
    ),
    (
        "rows are replaced although not asked for",
        "tables.py",
        (
            (
                "pa.concat_arrays([new, changed]) if replace else new",
                "pa.concat_arrays([new, changed])",
            ),
            ("        if replace:\n            merge =", "        if True:\n            merge ="),
        ),
    ),
    (
        "rows are never replaced",
        "tables.py",
        (("pa.concat_arrays([new, changed]) if replace else new", "new"),),
    ),
    (
        "rows are appended without a look at the keys",
        "tables.py",
        (
            (
                "result = merge.execute(rows.select(stored.names).cast(stored))",
                "table.add(rows.select(stored.names).cast(stored)); return rows.num_rows",
            ),
        ),
    ),
    (
        "conflicts are not reported",
        "tables.py",
        (("conflicts = [] if replace else", "conflicts = [] if True else"),),
    ),
    (
        "removal removes nothing",
        "tables.py",
        (("self._database.open_table(name).delete(condition)", "self._database.open_table(name)"),),
    ),
    (
        "a snapshot is seen at the newest version",
        "tables.py",
        (
            (
                "dataset = self.dataset_at(name, self._versions[name])",
                "dataset = self.dataset_at(name, None)",
            ),
        ),
    ),
    (
        "a past store can be written to",
        "tables.py",
        (
            (
                "        if self._versions is not None:\n            raise ReadOnlyStoreError(",
                "        if False:\n            raise ReadOnlyStoreError(",
            ),
        ),
    ),
    (
        "restoration restores nothing",
        "tables.py",
        (("            dataset.restore()", "            dataset.count_rows()"),),
    ),
    (
        "a table that came after the snapshot keeps its rows",
        "history/snapshots.py",
        (('tables.delete(change.table, "true")', 'tables.delete(change.table, "false")'),),
    ),
)


def noticed(file: str, edits: tuple[tuple[str, str], ...]) -> bool:
    """Whether the test fails with the edits."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("featurestore", "ingest", "train", "explain", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        shutil.copy(ROOT / "pyproject.toml", folder)
        path = Path(folder) / "featurestore" / file
        source = path.read_text("utf-8")
        for there, instead in edits:
            if source.count(there) != 1:
                raise click.ClickException(f"{file} has {source.count(there)} times: {there!r}")
            source = source.replace(there, instead)
        path.write_text(source, "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", TEST],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 1):
        raise click.ClickException(f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.returncode == 1


@click.command()
def main() -> None:
    """Print for each fault whether it was noticed; exit code 1 if one was not."""
    missed = 0
    for what, file, edits in FAULTS:
        found = noticed(file, edits)
        missed += not found
        print(f"{'noticed' if found else 'MISSED ':8} {what}", flush=True)
    print(f"{len(FAULTS) - missed} of {len(FAULTS)} faults noticed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
