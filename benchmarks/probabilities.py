"""Whether probabilities of being in a window come true on the test fold.

``python -m benchmarks.probabilities STORE --property slme`` predicts the test fold of the models of
the property as ``featurestore screen`` would. Windows are the quarters of the training targets. For
each range of told probabilities it prints how many of the targets are in the window: by the signed
errors of the validation fold, and by a normal distribution of the same standard deviation.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.output.rows import print_table
from featurestore.store import FeatureStore
from featurestore.views.candidates import select_candidates
from train.forecasts.chosen import groups_asked_for
from train.forecasts.group import LoadedGroup, load_group, tell
from train.screening.distribution import Distribution, NormalErrors
from train.screening.wants import Want

Floats = npt.NDArray[np.float64]
RANGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0000001)


def told_and_true(store: FeatureStore, group: LoadedGroup) -> dict[str, tuple[Floats, Floats]]:
    """Probabilities and what came true, shape (test materials × windows,), by both ways."""
    with store.session() as session:
        rows = session.query(
            "SELECT DISTINCT material_id, target FROM predictions WHERE fold = 'test' AND model_id "
            "= ? ORDER BY material_id",
            [group.stored.first.model_id],
        ).to_pylist()
        targets = {row["material_id"]: row["target"] for row in rows}
        selected, _ = select_candidates(session, group.parameters, sorted(targets))
    view = selected.read()
    told, readable, _ = tell(group, store, view, store)
    names = [name for name, usable in zip(view.material_ids, readable, strict=True) if usable]
    truth = np.array([targets[name] for name in names])
    std = told.bounds.std
    assert std is not None
    ways = {
        "signed errors": Distribution.of(group.knowledge.calibration, told.prediction, std),
        "normal": Distribution(told.prediction, std, NormalErrors()),
    }
    ends = np.quantile(group.knowledge.domain.targets, [0.25, 0.5, 0.75]).tolist()
    windows = [Want("x", low, high) for low, high in pairwise([-np.inf, *ends, np.inf])]
    return {
        way: (
            np.concatenate([values.within(window) for window in windows]),
            np.concatenate([window.holds(truth) for window in windows]).astype(np.float64),
        )
        for way, values in ways.items()
    }


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--property", "properties", multiple=True, help="By its chosen models.")
@click.option("--model", "models", multiple=True, help="Id of a model or its beginning.")
def main(store: Path, properties: tuple[str, ...], models: tuple[str, ...]) -> None:
    """Print told probabilities beside what came true on the test folds."""
    opened = FeatureStore.open(store)
    with opened.session() as session:
        groups = groups_asked_for(session, properties, models)
    for group in groups:
        loaded = load_group(opened, group)
        found = told_and_true(opened, loaded)
        click.echo(f"\n{loaded.parameters.property}, {group.first.model_id}, {len(group)} seeds")
        rows = []
        for way, (told, true) in found.items():
            click.echo(
                f"{way}: Brier score {np.mean((told - true) ** 2):.4f}, of the base rate "
                f"{np.mean((true.mean() - true) ** 2):.4f}"
            )
            for low, high in pairwise(RANGES):
                some = (told >= low) & (told < high)
                rows.append(
                    {
                        "way": way,
                        "told": f"{low:.2f} to {min(high, 1):.2f}",
                        "n": int(some.sum()),
                        "mean told": float(told[some].mean()) if some.any() else None,
                        "came true": float(true[some].mean()) if some.any() else None,
                    }
                )
        print_table(pa.Table.from_pylist(rows))


if __name__ == "__main__":
    main()
