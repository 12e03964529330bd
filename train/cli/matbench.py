"""``featurestore train matbench``: Matbench's folds, and submissions in its form."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import (
    CONTEXT,
    at_option,
    file_option,
    folder_option,
    store_option,
    together,
)
from featurestore.output.notes import note

_which = together(
    click.argument("task"),
    click.option(
        "--validation",
        required=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help="Matbench's file of folds, or the wheel that holds it: "
        "pip download --no-deps matbench==0.6.",
    ),
)

_models = together(
    click.argument(
        "names", metavar="MODEL...", nargs=-1, required=True, shell_complete=stored("models")
    ),
    click.option(
        "--algorithm", required=True, metavar="NAME", help="The name that the leaderboard shows."
    ),
)


@click.group(context_settings=CONTEXT)
def matbench() -> None:
    """Train and predict on Matbench's own folds."""


@matbench.command(context_settings=CONTEXT)
@_which
@click.option(
    "--dataset",
    metavar="NAME",
    help="What stands before the index in the ids of the store, as TASK in TASK/0.  "
    "[default: the task]",
)
@click.option("--seed", default=0, show_default=True, help="Of the rows to stop by.")
@folder_option("Folder for the files.", default=Path("matbench"), show_default=True)
def folds(task: str, validation: Path, dataset: str | None, seed: int, folder: Path) -> None:
    """Write the folds of a task as files for 'ingest splits'.

    A tenth of each fold's training materials is set aside to stop by; Matbench names none.

    \b
    Example:
      featurestore train matbench folds matbench_jdft2d \\
          --validation matbench-0.6-py3-none-any.whl -o folds
      featurestore ingest splits folds/matbench_jdft2d_fold_0.json --name fold_0 \\
          --property exfoliation_en
    """
    from train.analysis.matbench import read_folds, write_fold_files

    for path in write_fold_files(read_folds(validation, task), folder, dataset or task, seed):
        note(f"Wrote {path}")


@matbench.command(context_settings=CONTEXT)
@_which
@_models
@file_option("path", "File that ends in .json or .json.gz.", required=True)
@store_option
@at_option
def results(
    task: str,
    validation: Path,
    names: tuple[str, ...],
    algorithm: str,
    path: Path,
    store_uri: str,
    at: str | None,
) -> None:
    """Write the test predictions of a model of each fold as a submission's results.

    Every fold must be there, with exactly the materials that Matbench asks for.

    \b
    Example:
      featurestore train matbench results matbench_jdft2d MODEL_0 MODEL_1 MODEL_2 MODEL_3 MODEL_4 \\
          --validation matbench-0.6-py3-none-any.whl --algorithm "ALIGNN-FF + trees" \\
          -o results.json.gz
    """
    from featurestore.store import FeatureStore
    from featurestore.tables.runs import recorded_versions
    from train.analysis.matbench import OF_CLASSES, read_folds
    from train.analysis.matbench_submission import write_results
    from train.models import find_models

    if not path.name.endswith((".json", ".json.gz")):
        raise click.UsageError("The file's name ends in .json or .json.gz.")
    asked = read_folds(validation, task)
    said = {"algorithm": algorithm, "software": dict(recorded_versions())}
    with FeatureStore.open(store_uri, at=at).session() as session:
        scores = write_results(session, find_models(session, names), asked, path, said)
    measure, called = (
        ("balanced_accuracy", "balanced accuracy") if task in OF_CLASSES else ("mae", "MAE")
    )
    for name, found in scores.items():
        note(f"{name}: {called} {found[measure]:.4g}")
    note(f"Wrote {path}")


@matbench.command(context_settings=CONTEXT)
@_models
@click.option("--authors", required=True, help="Of the algorithm, as the leaderboard shows them.")
@click.option("--description", help="What the algorithm is.  [default: what the first model is]")
@click.option(
    "--bibtex",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of BibTeX entries to cite.",
)
@click.option("--notes", default="", help="What else is to be said.")
@file_option("path", "File.", default=Path("info.json"), show_default=True)
@store_option
@at_option
def info(
    names: tuple[str, ...],
    algorithm: str,
    authors: str,
    description: str | None,
    bibtex: Path | None,
    notes: str,
    path: Path,
    store_uri: str,
    at: str | None,
) -> None:
    """Write what a submission says of itself: info.json, which goes beside its results.

    \b
    Example:
      featurestore train matbench info MODEL_0 MODEL_1 MODEL_2 MODEL_3 MODEL_4 \\
          --algorithm "ALIGNN-FF + trees" --authors "A. Author, B. Author" -o info.json
    """
    from featurestore.store import FeatureStore
    from train.analysis.matbench_submission import write_info
    from train.models import find_models

    cited = "" if bibtex is None else bibtex.read_text("utf-8")
    with FeatureStore.open(store_uri, at=at).session() as session:
        models = find_models(session, names)
    said = {"algorithm_long": description or "", "bibtex_refs": cited, "notes": notes}
    write_info(models, path, algorithm, authors, **said)
    note(f"Wrote {path}")
