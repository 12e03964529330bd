"""How many test targets the 90 % intervals of forecasts hold: overall, by distance, by system.

``python -m benchmarks.coverage STORE --property slme`` predicts the test fold of the property's
models as ``featurestore predict`` would, and prints coverage and mean width of its intervals beside
those that the models themselves have stored.
"""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.output.rows import print_table
from featurestore.store import FeatureStore
from train.forecasts.chosen import groups_asked_for
from train.forecasts.coverage import coverage_of_test_fold
from train.forecasts.group import load_group


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--property", "properties", multiple=True, help="By its chosen models.")
@click.option("--model", "models", multiple=True, help="Id of a model or its beginning.")
def main(store: Path, properties: tuple[str, ...], models: tuple[str, ...]) -> None:
    """Print coverage and width of the 90 % intervals on the test folds."""
    opened = FeatureStore.open(store)
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


if __name__ == "__main__":
    main()
