"""Sets of classes by several conformal scores: how often they hold, and how large they are.

``python -m benchmarks.class_sets STORE --model ID`` takes the probabilities that a model of classes
has stored for its test fold, calibrates on a random half of it and tests on the other, 200 times,
and prints coverage, size, the coverage of the class that is held least often, and that of sets by
their size. It writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explain.erasing.rows import seed_siblings
from explain.report.outcomes import class_predictions
from featurestore.output.rows import print_table
from featurestore.store import FeatureStore

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_LEVEL = 0.9


def _least_ambiguous(p: Floats, _: np.random.Generator) -> Floats:
    """Sadinle, Lei and Wasserman 2019: one less the probability."""
    return 1 - p


def _adaptive(p: Floats, generator: np.random.Generator, penalty: float = 0.0) -> Floats:
    """APS (Romano, Sesia and Candès 2020), randomised; with a penalty RAPS (Angelopoulos 2021).

    The probability of all that are more probable, a random part of the class's own, and the penalty
    for each place beyond the first.
    """
    order = np.argsort(-p, axis=1)
    ordered = np.take_along_axis(p, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    scores = before + generator.random((len(p), 1)) * ordered + penalty * np.arange(p.shape[1])
    found = np.empty_like(p)
    np.put_along_axis(found, order, scores, axis=1)
    return found


def _thresholds(scores: Floats, true: Ints, by_class: bool) -> Floats:
    own = scores[np.arange(len(true)), true]
    groups = [own[true == k] for k in range(scores.shape[1])] if by_class else [own]
    found = []
    for group in groups:
        rank = math.ceil((len(group) + 1) * _LEVEL - 1e-9)
        found.append(np.sort(group)[rank - 1] if rank <= len(group) else np.inf)
    return np.array(found)


_WAYS: dict[str, tuple[Callable[[Floats, np.random.Generator], Floats], bool, bool]] = {
    "least ambiguous": (_least_ambiguous, False, False),
    "least ambiguous, of each class": (_least_ambiguous, True, False),
    "the same, the most probable always in (ours)": (_least_ambiguous, True, True),
    "APS": (_adaptive, False, False),
    "RAPS, 0.1": (lambda p, generator: _adaptive(p, generator, 0.1), False, False),
}


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--model", required=True, help="Id or its beginning; its seeds are averaged.")
@click.option("--draws", default=200, show_default=True, help="Random halves.")
def main(store: Path, model: str, draws: int) -> None:
    """Print coverage and size of 90 % sets of classes."""
    with FeatureStore.open(store).session() as session:
        stored = class_predictions(session, seed_siblings(session, model))
    test = stored.in_fold("test")
    p, true = stored.mean[test], stored.true[test]
    rows = []
    for name, (score, by_class, always) in _WAYS.items():
        inside, held = [], []
        for seed in range(draws):
            generator = np.random.default_rng(seed)
            half = generator.permutation(len(true)) < len(true) // 2
            scores = score(p, generator)
            sets = scores[~half] <= _thresholds(scores[half], true[half], by_class)
            if always:
                sets[np.arange(len(sets)), p[~half].argmax(axis=1)] = True
            inside.append(sets.sum(axis=1))
            held.append((sets[np.arange(len(sets)), true[~half]], true[~half]))
        sizes = np.concatenate(inside)
        holds, classes = (np.concatenate(one) for one in zip(*held, strict=True))
        of_classes = [holds[classes == k].mean() for k in np.unique(true)]
        of_sizes = [
            f"{size}: {holds[sizes == size].mean():.3f} ({(sizes == size).mean():.0%})"
            for size in np.unique(sizes)
        ]
        rows.append(
            {
                "sets": name,
                "covered": round(float(holds.mean()), 3),
                "classes in them": round(float(sizes.mean()), 3),
                "of the worst class": round(float(min(of_classes)), 3),
                "by size": ", ".join(of_sizes),
            }
        )
    print_table(pa.Table.from_pylist(rows))


if __name__ == "__main__":
    main()
