"""``python -m benchmarks``: every benchmark on the bundled sample, in minutes."""

from __future__ import annotations

import subprocess
import sys

# Each in a process of its own, so that one's memory and threads do not touch the next.
_RUNS = (
    ["structures"],
    ["robocrystallographer", "--n", "12"],
    ["chemnlp", "--n", "70"],
    ["alignn_graphs", "--n", "70"],
    ["alignn_embeddings", "--n", "70"],
    ["text_embeddings", "--n", "40"],
    ["train_mlp"],
)


def main() -> None:
    """Run them all; the exit code is that of the worst."""
    worst = 0
    for name, *arguments in _RUNS:
        print(f"\n== {name} {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        worst = max(worst, abs(subprocess.run(command, check=False).returncode))
    sys.exit(worst)


if __name__ == "__main__":
    main()
