"""Co-training of a structure and a text model on one property, against two controls.

    python -m benchmarks.co_training --store materials-store --property Tc_supercon --seeds 3

Materials without the target, of other compositions than any that is validated or tested on, get
labels from the model of the other side (`train.cotraining`). Controls: each model teaches itself;
and the compute goes into one larger ensemble instead. The errors are those of the mean of both
sides' predictions; nothing is stored but the run.
"""

from __future__ import annotations

from collections import Counter
from functools import reduce
from math import gcd
from typing import Any

import click
import numpy as np

from featurestore.catalogue import find_encoder, find_generator
from featurestore.cli.options import CONTEXT
from featurestore.output.progress import progress_bar
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.vectors import Vectors
from featurestore.views.view import TrainingView
from train.analysis.resampling import paired_difference
from train.cotraining import ITSELF, OTHER, Round, Rules, Side, best_round, co_train
from train.predictors.ensemble.recipe import Ensemble


def sides_of(
    session: Session, view: TrainingView, structure_encoder: str, text_encoder: str, text: str
) -> dict[str, Side]:
    """Both sides of a view's materials, and of those that have no target."""
    structures = find_encoder(session, structure_encoder, "structure")
    texts = find_encoder(session, text_encoder, "text")
    judged = {
        one
        for one, fold in zip(
            view.rows["structure_id"].to_pylist(), view.rows["fold"].to_pylist(), strict=True
        )
        if fold != "train"
    }
    known = session.query(
        "SELECT DISTINCT structure_id FROM properties JOIN materials USING (material_id) "
        "WHERE property = ?",
        [view.parameters.property],
    )["structure_id"].to_pylist()
    rows = session.query(
        "SELECT structure_id, text_id, any_value(species ORDER BY material_id) AS species "
        "FROM texts(?) JOIN materials USING (structure_id) GROUP BY ALL ORDER BY structure_id",
        [find_generator(session, text).generator_id],
    ).to_pylist()
    left, right = Vectors.of(session, structures), Vectors.of(session, texts)
    has_structure, has_text = set(left.ids.to_pylist()), set(right.ids.to_pylist())
    taken = {_formula(row["species"]) for row in rows if row["structure_id"] in judged}
    without = set(known)
    free = [
        row
        for row in rows
        if row["structure_id"] not in without
        and row["structure_id"] in has_structure
        and row["text_id"] in has_text
        and _formula(row["species"]) not in taken
    ]
    unlabelled = {
        "structure": left.read([row["structure_id"] for row in free]),
        "text": right.read([row["text_id"] for row in free]),
    }
    sides = {}
    for block in view.blocks:
        name = block.feature.kind
        columns = slice(block.start, block.stop)
        folds = {fold: view.features[view.in_fold(fold), columns] for fold in _FOLDS}
        segments = tuple((n, a - block.start, b - block.start) for n, a, b in block.segments)
        sides[name] = Side(**folds, unlabelled=unlabelled[name], segments=segments)
    return sides


_FOLDS = ("train", "val", "test")


def _formula(species: list[str]) -> tuple[tuple[str, int], ...]:
    counts = Counter(species)
    unit = reduce(gcd, counts.values())
    return tuple(sorted((symbol, n // unit) for symbol, n in counts.items()))


@click.command(context_settings=CONTEXT)
@click.option("--store", default="materials-store", show_default=True)
@click.option("--property", "property_name", default="Tc_supercon", show_default=True)
@click.option("--split", default="paper", show_default=True)
@click.option("--structure-encoder", default="alignn-ff", show_default=True)
@click.option("--text", default="chemnlp", show_default=True)
@click.option("--text-encoder", default="minilm", show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Most rounds.")
@click.option("--sure", default=0.25, show_default=True, help="Share a teacher is sure of.")
@click.option("--share", default=0.1, show_default=True, help="Labels a round, of the known.")
@click.option("--seeds", default=1, show_default=True)
@click.option("--epochs", default=40, show_default=True, help="Of the networks.")
@click.option("--members", default=8, show_default=True, help="Networks.")
def main(
    store: str,
    property_name: str,
    split: str,
    structure_encoder: str,
    text: str,
    text_encoder: str,
    rounds: int,
    sure: float,
    share: float,
    seeds: int,
    epochs: int,
    members: int,
) -> None:
    """Print errors of co-training, self-training, and of a larger ensemble."""
    opened = FeatureStore.open(store)
    view = opened.training_view(
        property_name,
        split=split,
        structure_encoder=structure_encoder,
        text_source=text,
        text_encoder=text_encoder,
    )
    with opened.session() as session:
        sides = sides_of(session, view, structure_encoder, text_encoder, text)
    targets = {fold: view.targets[view.in_fold(fold)] for fold in _FOLDS}
    n = len(sides["text"].unlabelled)
    click.echo(f"{property_name}: {len(targets['train']):,} known, {n:,} without a target")
    recipe = Ensemble(members=members, epochs=epochs, learn_from_val=False)
    larger = Ensemble(members=members * (rounds + 1), epochs=epochs, learn_from_val=False)
    found: dict[str, list[Any]] = {}
    for seed in range(seeds):
        for way, teacher, of, most in (
            ("co-training", OTHER, recipe, rounds),
            ("self-training", ITSELF, recipe, rounds),
            ("larger ensemble", OTHER, larger, 0),
        ):
            rules = Rules(teacher, most, sure, share)
            with progress_bar(None, way, "epochs") as progress:
                done = co_train(sides, targets, of, rules, seed, progress)
            if way == "co-training":
                _keep(found, "known labels alone", done[0], targets["test"], seed)
            _keep(found, way, best_round(done), targets["test"], seed)
            if way == "co-training":
                for one in done:
                    _said(f"  round {one.number}", one, targets["test"])
    base = np.mean(found["known labels alone"], axis=0)
    for way, errors in found.items():
        mean = np.mean(errors, axis=0)
        if way == "known labels alone":
            click.echo(f"{way}: test MAE {mean.mean():.4g}")
            continue
        gain = paired_difference(base, mean)
        click.echo(
            f"{way}: test MAE {mean.mean():.4g}, gain {gain.gain.value:.4g} "
            f"({gain.gain.low:.4g} to {gain.gain.high:.4g}), p {gain.p:.2g}"
        )


def _keep(found: dict[str, list[Any]], way: str, one: Round, truth: Any, seed: int) -> None:
    found.setdefault(way, []).append(np.abs(one.predictions["both"] - truth))
    _said(f"{way}, seed {seed}, round {one.number}", one, truth)


def _said(what: str, one: Round, truth: Any) -> None:
    errors = ", ".join(
        f"{side} {np.abs(told - truth).mean():.4g}" for side, told in one.predictions.items()
    )
    click.echo(f"{what}: {one.labels} labels, val {one.val_mae:.4g}, test {errors}")


if __name__ == "__main__":
    main()
