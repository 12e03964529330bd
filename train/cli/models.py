"""Commands of ``featurestore models`` on trained models; those on weights are in ``ingest``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import (
    CONTEXT,
    at_option,
    file_option,
    format_option,
    formats_option,
    store_option,
)
from featurestore.output.notes import note

_REASON = click.option("--reason", default="", help="Kept with it.")


@click.command(context_settings=CONTEXT)
@click.argument("model", shell_complete=stored("models"))
@_REASON
@store_option
def promote(model: str, reason: str, store_uri: str) -> None:
    """Let MODEL, with those that differ by the seed, predict its property from now on.

    \b
    Example:
      featurestore models promote mbj_bandgap_structure_chemnlp_a2548cb8b0
    """
    from featurestore.store import FeatureStore
    from train.forecasts.chosen import promote as change

    store = FeatureStore.open(store_uri)
    with store.run("models promote", {"model": model, "reason": reason}) as run:
        group, before = change(store, model, reason, run)
    seeds = f" ({len(group)} seeds)" if len(group) > 1 else ""
    note(
        f"{group.first.model_id}{seeds} predicts {group.parameters.property} from now on"
        + (f", in place of {', '.join(before)}" if before else "")
    )


@click.command(context_settings=CONTEXT)
@click.argument("model", shell_complete=stored("models"))
@_REASON
@store_option
def retire(model: str, reason: str, store_uri: str) -> None:
    """Let its property no longer find MODEL, and those that differ by the seed; their rows stay.

    \b
    Example:
      featurestore models retire mbj_bandgap_structure_chemnlp_a2548cb8b0
    """
    from featurestore.store import FeatureStore
    from train.forecasts.chosen import retire as change

    store = FeatureStore.open(store_uri)
    with store.run("models retire", {"model": model, "reason": reason}) as run:
        group = change(store, model, reason, run)
    click.echo(f"{', '.join(group.model_ids)}: retired; the rows stay and their ids find them")


@click.command(context_settings=CONTEXT)
@click.argument("a", shell_complete=stored("models"))
@click.argument("b", shell_complete=stored("models"))
@store_option
@at_option
@format_option
def compare(a: str, b: str, store_uri: str, at: str | None, output_format: str) -> None:
    """Compare the models A and B on the test materials that both have.

    Each goes with those that differ from it by the seed. The gain is by how much B's mean absolute
    error is smaller, paired by material, with its 95 % interval.

    \b
    Example:
      featurestore models compare mbj_bandgap_structure_7472 mbj_bandgap_structure_chemnlp_a254
    """
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore
    from train.display.rounding import rounded
    from train.sharing.comparison import compare_models

    with FeatureStore.open(store_uri, at=at).session() as session:
        found = compare_models(session, a, b)
    numbers = {
        f"A's {found.error}": found.error_a,
        f"B's {found.error}": found.error_b,
        "gain of B": found.gain,
    }
    if output_format == "table":
        for name, group in (("A", found.a), ("B", found.b)):
            click.echo(f"{name}  {group.first.model_id}, {len(group)} seeds")
        spread = (found.gain.high - found.gain.low) / 2
        rows = [
            {"": name}
            | {what: rounded(value, spread) for what, value in vars(one).items()}
            | {"unit": found.unit}
            for name, one in numbers.items()
        ]
        print_table(pa.Table.from_pylist(rows))
        click.echo(f"{found.n} common test materials, p = {found.p:.2g}: {found.verdict()}")
    else:
        error = found.a.first.task.error
        row: dict[str, object] = {
            "a": found.a.first.model_id,
            "b": found.b.first.model_id,
            "n": found.n,
            **{
                f"{key}_{what}": value
                for key, one in zip(
                    (f"{error}_a", f"{error}_b", "gain"), numbers.values(), strict=True
                )
                for what, value in vars(one).items()
            },
            "p": found.p,
            "unit": found.unit,
        }
        print_table(pa.Table.from_pylist([row]), output_format)
    if found.only_a or found.only_b:
        click.echo(
            f"Note: {found.only_a} test materials are A's alone, {found.only_b} B's alone; they "
            "do not count"
        )


@click.command(context_settings=CONTEXT)
@click.argument("model", shell_complete=stored("models"))
@file_option("output", "Write the page to a .md file, or all of it to a .json file.")
@formats_option(("markdown", "json"), "What is printed.")
@store_option
def card(model: str, output: Path | None, output_format: str, store_uri: str) -> None:
    """Say what MODEL is, was trained on, reaches, and must not be used for.

    \b
    Example:
      featurestore models card mbj_bandgap_structure_chemnlp_a254 -o card.md
    """
    from featurestore.output.rows import atomic_path
    from featurestore.store import FeatureStore
    from train.sharing.card import card_markdown, model_card

    if output is not None:
        kinds = {".md": "markdown", ".json": "json"}
        if output.suffix.lower() not in kinds:
            raise click.UsageError("Name a file that ends in .md or .json.")
        output_format = kinds[output.suffix.lower()]
    found = model_card(FeatureStore.open(store_uri), model)
    text = card_markdown(found)
    if output_format == "json":
        text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    note(f"Wrote {output}")


@click.command(context_settings=CONTEXT)
@click.argument("model", shell_complete=stored("models"))
@file_option("output", "The file; its name should end in .safetensors.", required=True)
@store_option
def export(model: str, output: Path, store_uri: str) -> None:
    """Write MODEL, with those that differ by the seed, into one file for another store.

    It holds the weights, the list of features with the fingerprints of their encoders, and the
    training materials' ids, targets and feature vectors, by which distances and intervals are told.
    Nothing in it is run when it is read.

    \b
    Example:
      featurestore models export mbj_bandgap_structure_chemnlp_a254 -o bandgap.safetensors
    """
    from featurestore.store import FeatureStore
    from train.sharing.transfer import export_models

    group = export_models(FeatureStore.open(store_uri), model, output)
    size = output.stat().st_size / 2**20
    click.echo(f"{len(group)} models of {group.parameters.property} in {output} ({size:.1f} MiB)")


@click.command("import", context_settings=CONTEXT)
@click.argument("file", type=click.Path(path_type=Path))
@store_option
def import_(file: Path, store_uri: str) -> None:
    """Put the models in FILE, which another store exported, into this one.

    They predict by vectors of the very encoders that they were trained on: another version of an
    encoder or text generator is refused when they are asked to predict.

    \b
    Example:
      featurestore models import bandgap.safetensors
    """
    from featurestore.store import FeatureStore
    from train.sharing.transfer import import_models

    store = FeatureStore.open(store_uri, create=True)
    _, ids, new = import_models(store, file)
    for model_id in ids:
        click.echo(model_id)
    note(f"{new} models imported, {len(ids) - new} were there")
