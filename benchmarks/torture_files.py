"""Files and a server for the stages of `torture_stages`: what a store is given as it grows."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROPERTY = "formation_energy_peratom"
_NEW = 5  # of each source
_TESTS = Path(__file__).parents[1] / "tests"


@contextlib.contextmanager
def optimade_pages() -> Iterator[str]:
    """The base address of a server with six crystals on three pages, in a process of its own."""
    code = (
        "import sys; from quirky_server import serving\n"
        "with serving() as server:\n    print(server.base, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_TESTS,
        text=True,
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def opened(uri: str) -> Any:
    """The store in a folder."""
    from featurestore.store import FeatureStore

    return FeatureStore.open(uri, create=True)


def reach_tests() -> None:
    """Make the modules importable that tests share."""
    # By its folder: installed packages may bring a package called tests.
    sys.path.insert(0, str(_TESTS))


def write_candidates(folder: Path) -> None:
    """Structure files, a table of structures and one of targets, which a store gets later."""
    from forecast_lab import poscar
    from pymatgen.core import Structure

    for number, name in enumerate(("candidates", "screened")):
        (folder / name).mkdir(exist_ok=True)
        for index in range(_NEW):
            text = poscar(3.9 + 0.1 * index + 0.02 * number, ("K", "Br") if number else ("Cs", "I"))
            (folder / name / f"{name}-{index}.vasp").write_text(text)
    rows, targets = [], ["material_id,formation_energy_peratom,slme"]
    for index in range(_NEW):
        structure = Structure.from_str(poscar(4.4 + 0.1 * index, ("Rb", "Cl")), fmt="poscar")
        rows.append(
            {"material_id": f"row-{index}", "structure": structure.as_dict(), PROPERTY: -index / 7}
        )
        targets.append(f"candidates-{index},{-1 - index / 10},{10 + index}")
    (folder / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "targets.csv").write_text("\n".join(targets) + "\n")
