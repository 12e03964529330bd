"""``featurestore lineage``: what a model, prediction, vector or figure was made from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, at_option, formats_option, store_option
from featurestore.output.notes import note

_CONTENT_ID = re.compile(r"[0-9a-f]{64}")


@click.command(context_settings=CONTEXT)
@click.argument("what")
@click.argument("material", required=False)
@click.option("--encoder", metavar="NAME", help="Of the vector, where several have made one.")
@formats_option(("tree", "json"), "How it is printed.")
@click.option(
    "--openlineage",
    "events_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write OpenLineage run events to this file, too, one a line.",
)
@store_option
@at_option
def lineage(
    what: str,
    material: str | None,
    encoder: str | None,
    output_format: str,
    events_file: Path | None,
    store_uri: str,
    at: str | None,
) -> None:
    """Walk back from WHAT to the files it was made from.

    WHAT is a model's id or its beginning; with MATERIAL the model's prediction for it, or where it
    was not trained or tested on it, its newest forecast; a structure_id or text_id for its vector;
    or a PNG that train report or explain wrote.

    \b
    Example:
      featurestore lineage figures/parity_mbj_bandgap_paper.png
    """
    from featurestore.history.forecasts import told_lineage
    from featurestore.history.lineage import figure_lineage, model_lineage, vector_lineage
    from featurestore.history.lineage_output import (
        as_json,
        openlineage_events,
        store_namespace,
        tree_lines,
    )
    from featurestore.output.figures import FIGURE_SUFFIXES
    from featurestore.output.rows import atomic_path
    from featurestore.store import FeatureStore

    store = FeatureStore.open(store_uri, at=at)
    with store.session() as session:
        if what.lower().endswith(FIGURE_SUFFIXES):
            node = figure_lineage(session, Path(what))
        elif material is not None:
            node = told_lineage(session, what, material)
        elif _CONTENT_ID.fullmatch(what):
            node = vector_lineage(session, what, encoder)
        else:
            node = model_lineage(session, what)
    if output_format == "json":
        click.echo(json.dumps(as_json(node), ensure_ascii=False, indent=1))
    else:
        for line in tree_lines(node):
            click.echo(line)
    if events_file is not None:
        events = openlineage_events(node, store_namespace(store.uri))
        with atomic_path(events_file) as temporary:
            temporary.write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
        note(f"{len(events)} OpenLineage events written to {events_file}")
