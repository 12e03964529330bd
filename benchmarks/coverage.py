"""How many test targets the 90 % intervals of forecasts hold: overall, by distance, by system.

``python -m benchmarks.coverage STORE --property slme`` predicts the test fold of the property's
models as ``featurestore predict`` would, and prints coverage and mean width of its intervals beside
those that the models themselves have stored. With ``--left-out by-element`` it does so for the
models of all splits that ``featurestore ingest splits --leave-out element --name by-element`` made
and ``featurestore train cross-validate`` has trained on, each and all of them together.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from featurestore.output.rows import print_table
from featurestore.store import FeatureStore
from train.crossfit.fold_models import named_splits
from train.forecasts.chosen import groups_asked_for
from train.forecasts.coverage import coverage_of, coverage_of_test_fold, tested_rows
from train.forecasts.group import load_group
from train.models import seed_groups, stored_models


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--property", "properties", multiple=True, help="By its chosen models.")
@click.option("--model", "models", multiple=True, help="Id of a model or its beginning.")
@click.option("--left-out", metavar="NAME", help="By the models of these splits instead.")
def main(
    store: Path, properties: tuple[str, ...], models: tuple[str, ...], left_out: str | None
) -> None:
    """Print coverage and width of the 90 % intervals on the test folds."""
    opened = FeatureStore.open(store)
    if left_out is not None:
        for name in properties:
            _print_left_out(opened, name, left_out)
        return
    with opened.session() as session:
        groups = groups_asked_for(session, properties, models)
    for group in groups:
        loaded = load_group(opened, group)
        calibration = loaded.knowledge.calibration
        click.echo(
            f"\n{loaded.parameters.property} ({loaded.parameters.unit}), {group.first.model_id}, "
            f"{len(group)} seeds: {calibration.n_rows} validation rows, power of the distance "
            f"{calibration.power:.2f}"
        )
        print_table(coverage_of_test_fold(opened, loaded))


def _print_left_out(store: FeatureStore, name: str, left_out: str) -> None:
    with store.session() as session:
        splits = named_splits(session, left_out, name)
        groups = {
            part: seed_groups(stored_models(session, name, split)) for part, split in splits.items()
        }
    rows, tests = [], []
    for part, of_part in groups.items():
        for group in of_part:
            found = tested_rows(store, load_group(store, group))
            if found is None:
                continue
            tests.append(found)
            beyond = float(np.mean(found.percentile >= 100))
            row = coverage_of([found]).slice(0, 1).to_pylist()[0]
            rows.append(row | {"part": part, "beyond_100": beyond, "by": group.first.predictor})
    click.echo(f"\n{name}, each of {left_out} left out, intervals of 90 %")
    print_table(pa.Table.from_pylist(rows))
    click.echo("\nall of these together")
    print_table(coverage_of(tests))


if __name__ == "__main__":
    main()
