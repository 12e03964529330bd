"""Co-training of a structure and a text model on one property, against two controls.

    python -m benchmarks.co_training --store materials-store --property Tc_supercon --seeds 3

Materials without the target, of other compositions than any that is validated or tested on, get
labels from the model of the other side (`train.cotraining`). Controls: each model teaches itself;
and the compute goes into one larger ensemble instead. The errors are those of the mean of both
sides' predictions, in the round of the lowest validation error. Nothing is stored; with --folder
what was trained is kept, and the same command goes on from there.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import reduce
from math import gcd
from pathlib import Path

import click
import numpy as np

from featurestore.catalogue import find_encoder, find_generator
from featurestore.cli.options import CONTEXT
from featurestore.output.progress import progress_bar
from featurestore.output.rows import atomic_path
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.vectors import Vectors
from featurestore.views.view import TrainingView
from train.analysis.resampling import holm, paired_difference
from train.cotraining import ITSELF, OTHER, Rules, Side, best_round, co_train
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


_KNOWN, _CO = "known labels alone", "co-training"
#: Whose predictions a model learns from, and whether it learns in rounds or all goes into one.
_WAYS = {_CO: (OTHER, True), "self-training": (ITSELF, True), "larger ensemble": (OTHER, False)}
#: Each way and what its error is compared with.
_COMPARED = [(way, _KNOWN) for way in _WAYS] + [(_CO, way) for way in _WAYS if way != _CO]


@dataclass(frozen=True)
class Setting:
    """What decides a training besides its property and seed."""

    rounds: int
    sure: float
    share: float
    epochs: int
    members: int


@dataclass(frozen=True)
class Measured:
    """A training.

    Parameters
    ----------
    errors : dict of str to list of float
        By name the absolute test errors of the round chosen; for co-training those of its round 0,
        too.
    rounds : list of dict
        Of each round its labels, the validation error by which it stops, and the test errors of
        both sides and of their mean.
    """

    errors: dict[str, list[float]]
    rounds: list[dict[str, float]]


def measured(
    sides: dict[str, Side],
    targets: dict[str, np.ndarray],
    way: str,
    setting: Setting,
    seed: int,
) -> Measured:
    """Train, say each round, and keep what is compared."""
    teacher, in_rounds = _WAYS[way]
    members = setting.members * (1 if in_rounds else setting.rounds + 1)
    recipe = Ensemble(members=members, epochs=setting.epochs, learn_from_val=False)
    rules = Rules(teacher, setting.rounds if in_rounds else 0, setting.sure, setting.share)
    with progress_bar(None, way, "epochs") as progress:
        done = co_train(sides, targets, recipe, rules, seed, progress)
    rounds = []
    for one in done:
        of_sides = {
            side: float(np.abs(told - targets["test"]).mean())
            for side, told in one.predictions.items()
        }
        rounds.append({"labels": one.labels, "val": one.val_mae, **of_sides})
        said = ", ".join(f"{side} {mae:.4g}" for side, mae in of_sides.items())
        click.echo(
            f"  {way}, seed {seed}, round {one.number}: {one.labels} labels, "
            f"val {one.val_mae:.4g}, test {said}"
        )
    chosen = {way: best_round(done)} | ({_KNOWN: done[0]} if way == _CO else {})
    errors = {
        name: np.abs(one.predictions["both"] - targets["test"]).tolist()
        for name, one in chosen.items()
    }
    return Measured(errors, rounds)


def table(found: dict[str, dict[str, list[list[float]]]]) -> str:
    """In Markdown each way's test MAE and gain over what it is compared with, seeds averaged."""
    rows = []
    for property, ways in found.items():
        mean = {name: np.mean(errors, axis=0) for name, errors in ways.items()}
        for way, other in _COMPARED:
            gain = paired_difference(mean[other], mean[way])
            rows.append((property, way, mean[way], other, mean[other], gain))
    corrected = holm([gain.p for *_, gain in rows])
    lines = ["| property | way | test MAE | against | its MAE | gain | p |", "|---" * 7 + "|"]
    for (property, way, errors, other, others, gain), p in zip(rows, corrected, strict=True):
        its = gain.gain
        lines.append(
            f"| {property} | {way} | {errors.mean():.4g} | {other} | {others.mean():.4g} | "
            f"{its.value:.3g} ({its.low:.3g} to {its.high:.3g}) | {p:.2g} |"
        )
    return "\n".join(lines)


@click.command(context_settings=CONTEXT)
@click.option("--store", default="materials-store", show_default=True)
@click.option(
    "--property", "properties", multiple=True, default=("Tc_supercon",), show_default=True
)
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
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where errors are kept, so that the same command goes on.",
)
def main(
    store: str,
    properties: tuple[str, ...],
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
    folder: Path | None,
) -> None:
    """Print errors of co-training, self-training, and of a larger ensemble."""
    setting = Setting(rounds, sure, share, epochs, members)
    found: dict[str, dict[str, list[list[float]]]] = {}
    opened = FeatureStore.open(store)
    for property in properties:
        view = opened.training_view(
            property,
            split=split,
            structure_encoder=structure_encoder,
            text_source=text,
            text_encoder=text_encoder,
        )
        with opened.session() as session:
            sides = sides_of(session, view, structure_encoder, text_encoder, text)
        targets = {fold: view.targets[view.in_fold(fold)] for fold in _FOLDS}
        n = len(sides["text"].unlabelled)
        click.echo(f"{property}: {len(targets['train']):,} known, {n:,} without a target")
        for seed in range(seeds):
            for way in _WAYS:
                told = {"view": view.fingerprint, "way": way, "seed": seed, **asdict(setting)}
                file = folder and folder / f"{property}-{way.replace(' ', '-')}-{seed}.json"
                one = kept(file, told)
                if one is None:
                    one = measured(sides, targets, way, setting, seed)
                    keep(file, told, one)
                for name, values in one.errors.items():
                    found.setdefault(property, {}).setdefault(name, []).append(values)
    click.echo(table(found))


def kept(file: Path | None, told: dict[str, object]) -> Measured | None:
    """What a file holds, if it is of the same training."""
    if file is None or not file.exists():
        return None
    content = json.loads(file.read_text("utf-8"))
    return Measured(content["errors"], content["rounds"]) if content["of"] == told else None


def keep(file: Path | None, told: dict[str, object], one: Measured) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as path:
            path.write_text(json.dumps({"of": told, **asdict(one)}), "utf-8")


if __name__ == "__main__":
    main()
