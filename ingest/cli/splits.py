"""``featurestore ingest splits``: folds from files, or drawn."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, store_option
from ingest.cli.printing import print_ingested


@click.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--random", "fractions", metavar="80/10/10", help="Draw folds at random instead.")
@click.option(
    "--sample", metavar="SPLIT", help="Draw --at-most materials from each fold of this split."
)
@click.option("--at-most", metavar="4000/500/1000", help="With --sample: their numbers.")
@click.option(
    "--where",
    metavar="SQL",
    help="With --sample: only materials for which this condition on them and their properties "
    "holds.",
)
@click.option(
    "--folds",
    type=int,
    metavar="N",
    help="Draw the N splits of a cross-validation instead, NAME/0 and so on.",
)
@click.option(
    "--leave-out",
    metavar="GROUP",
    help="Make splits NAME/... that each test on all that has one element (element), or on one "
    "group of what --group-by takes.",
)
@click.option(
    "--at-least",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="With --leave-out: what fewer materials have is not left out.",
)
@click.option(
    "--extend",
    metavar="SPLIT",
    help="Add the materials that have come since to this split or cross-validation, by its rule.",
)
@click.option(
    "--like",
    metavar="PROPERTY",
    help="Give --property the folds that this one has in the split --name.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of what is drawn.")
@click.option(
    "--group-by",
    metavar="GROUP",
    help="With --random or --folds: keep materials that agree in this together in one fold: "
    "structure, duplicates, formula (all polymorphs), prototype, cluster:ENCODER:N (k-means of its "
    "vectors), or an SQL expression over materials.",
)
@click.option("--property", "property_name", help="Property the split is for.")
@click.option("--name", help="Name of the split. Default: paper, or random with the seed.")
@store_option
def splits(
    files: tuple[Path, ...],
    fractions: str | None,
    sample: str | None,
    at_most: str | None,
    where: str | None,
    folds: int | None,
    leave_out: str | None,
    at_least: int,
    extend: str | None,
    like: str | None,
    seed: int,
    group_by: str | None,
    property_name: str | None,
    name: str | None,
    store_uri: str,
) -> None:
    """Store folds from FILES with id_train, id_val and id_test, draw them, or add new materials.

    A file named dataset_split_PROPERTY.json is for that property. A --sample keeps the folds that
    its materials have in the split it is drawn from; a smaller one with the same seed is part of a
    larger one. Each split of a cross-validation tests on another part of the materials and stops by
    a tenth of the rest. A split that is extended keeps every material's fold; one that was read
    from a file has no rule for new materials: say it with --random.

    \b
    Example:
      featurestore ingest splits splits/dataset_split_*.json --name paper
      featurestore ingest splits --random 80/10/10 --seed 1 --property mbj_bandgap
      featurestore ingest splits --random 80/10/10 --group-by formula --property mbj_bandgap
      featurestore ingest splits --folds 5 --group-by prototype --name cv5
      featurestore ingest splits --leave-out element --property mbj_bandgap --name by-element
      featurestore ingest splits --folds 10 --group-by cluster:alignn-ff:10 --name by-cluster
      featurestore ingest splits --extend cv5
      featurestore ingest splits --like mbj_bandgap --name paper --property metal
      featurestore ingest splits --sample paper --at-most 4000/500/1000 --property ehull
    """
    from featurestore.store import FeatureStore
    from ingest.library.splits import add_splits

    ways = (files, fractions and not extend, sample, folds is not None, leave_out, extend, like)
    if sum(map(bool, ways)) != 1:
        raise click.UsageError(
            "Give one of split FILES, --random, --sample, --folds, --leave-out, --extend and "
            "--like; --random may go with --extend."
        )
    if group_by and not (fractions or folds is not None):
        raise click.UsageError("--group-by goes with --random and --folds.")
    if extend and name:
        raise click.UsageError("A split that is extended keeps its --name.")
    if bool(at_most) != bool(sample) or (where and not sample):
        raise click.UsageError("--at-most and --where go with --sample, which needs --at-most.")
    if sample and property_name is None:
        raise click.UsageError("--sample needs the --property whose folds it draws from.")
    store = FeatureStore.open(store_uri)
    print_ingested(
        lambda: add_splits(
            store,
            files,
            random=fractions,
            sample=sample,
            at_most=at_most,
            where=where,
            folds=folds,
            leave_out=leave_out,
            at_least=at_least,
            extend=extend,
            like=like,
            seed=seed,
            group_by=group_by,
            property=property_name,
            name=name,
        )
    )
