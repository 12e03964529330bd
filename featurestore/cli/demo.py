"""``featurestore demo``: the bundled sample through every step, by the commands users type."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from featurestore.cli.options import CONTEXT
from featurestore.output.notes import note

PROPERTY = "formation_energy_peratom"
STRUCTURE_ENCODER = "alignn-ff"
TEXT_ENCODER = "minilm"
TEXT_SOURCES = ("robocrystallographer", "chemnlp")
SPLIT = "random-80-10-10-seed-0"


def demo_commands(output: str) -> list[list[str]]:
    """The commands of the demonstration, without ``featurestore`` and without ``--store``."""
    structure = ["--structure-encoder", STRUCTURE_ENCODER]
    texts = [["--text", source, "--text-encoder", TEXT_ENCODER] for source in TEXT_SOURCES]
    feature_sets = [structure, *texts, *(structure + text for text in texts)]
    target = ["--property", PROPERTY, "--split", SPLIT]
    variants = ["--variant", "full", "--variant", "without:each"]
    return [
        ["models", "pull", STRUCTURE_ENCODER],
        ["models", "pull", TEXT_ENCODER],
        ["ingest", "sample"],
        ["ingest", "splits", "--random", "80/10/10", "--seed", "0", "--property", PROPERTY],
        *(["ingest", "text", "--text", source] for source in TEXT_SOURCES),
        ["ingest", "embeddings", "--encoder", STRUCTURE_ENCODER],
        *(
            ["ingest", "embeddings", "--encoder", TEXT_ENCODER, "--text", source, *variants]
            for source in TEXT_SOURCES
        ),
        ["sql", "FROM coverage()"],
        ["view", PROPERTY, *structure, *texts[0], "--split", SPLIT],
        *(["train", "ensemble", *target, *features] for features in feature_sets),
        ["train", "report", "-o", output],
        ["explain", "tags", *target, "--quick", "-o", output],
        ["info"],
    ]


@click.command(context_settings=CONTEXT)
@click.option(
    "--store",
    "demo_store",  # not the one that is configured
    default="demo-store",
    show_default=True,
    metavar="URI",
    help="Folder of the feature store, or s3://bucket/prefix.",
)
@click.option(
    "-o",
    "--output",
    default="demo-results",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the plots.",
)
def demo(demo_store: str, output: str) -> None:
    """Take a bundled sample of real JARVIS-DFT materials through every step.

    Each command is printed before it runs, so that it can be typed again. A second run finds
    everything done.
    """
    from featurestore.cli.root import root

    started = time.monotonic()
    for arguments in demo_commands(output):
        if arguments[0] != "models":
            arguments = [*arguments, "--store", demo_store]
        click.secho(f"\n$ featurestore {shlex.join(arguments)}", bold=True)
        before = time.monotonic()
        status = root.main(arguments, prog_name="featurestore", standalone_mode=False)
        if isinstance(status, int) and status:
            raise click.exceptions.Exit(status)
        note(f"({time.monotonic() - before:.1f} s)")
    click.echo(f"\nThe whole demonstration took {time.monotonic() - started:.0f} s.")
    place = demo_store if "://" in demo_store else Path(demo_store).resolve()
    click.echo(f"The store is in {place}; look into it with:")
    click.echo(f"  featurestore info --store {demo_store}")
    click.echo("The figures:")
    for path in sorted(Path(output).glob("*.png")):
        click.echo(f"  {path.resolve()}")
    click.echo("Its pages in a browser:")
    click.echo(f"  featurestore explore {demo_store}")
