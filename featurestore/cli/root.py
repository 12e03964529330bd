"""The root command, which imports a command's code only when it is called."""

from __future__ import annotations

import click

from featurestore.cli.loudness import loudness_options
from featurestore.cli.options import CONTEXT
from featurestore.cli.root_group import RootGroup

_BUILT_IN = {
    "sql": ("featurestore.cli.sql:sql", "Query the tables and macros with SQL."),
    "coverage": ("featurestore.cli.coverage:coverage", "Say which materials lack what."),
    "quality": ("featurestore.cli.quality:quality", "Look for odd vectors and targets."),
    "export": ("featurestore.cli.export:export", "Write a training view with its data card."),
    "publish": ("featurestore.cli.publish:publish", "Say what would be sent to publish a folder."),
    "search": ("featurestore.cli.search:search", "Find materials like one, or by their texts."),
    "view": ("featurestore.cli.view:view", "Assemble the training view of a property."),
    "features": ("featurestore.cli.features:features", "Name lists of features for views."),
    "properties": (
        "featurestore.cli.properties:properties",
        "Say how the sources of a property are taken together.",
    ),
    "info": ("featurestore.cli.info:info", "Show what the store holds, at a glance."),
    "verify": ("featurestore.cli.verify:verify", "Check that a store is what it says it is."),
    "maintain": ("featurestore.cli.maintain:maintain", "Compact tables, drop old versions."),
    "lineage": ("featurestore.cli.lineage:lineage", "Show what a model or figure was made from."),
    "snapshot": ("featurestore.cli.snapshot:snapshot", "Name states of the store, restore them."),
    "remove": ("featurestore.cli.remove:remove", "Take things out, with all that hangs on them."),
    "rename": (
        "featurestore.cli.rename:rename",
        "Give a property, split … another name.",
    ),
    "backup": ("featurestore.cli.backup:backup", "Copy the store elsewhere; again, only news."),
    "migrate": ("featurestore.cli.migrate:migrate", "Bring an older store to today's schema."),
    "parts": ("featurestore.cli.parts:parts", "List encoders and the like, and their settings."),
    "encoders": ("featurestore.cli.encoders:encoders", "Compare, promote and retire versions."),
    "config": ("featurestore.cli.config:config", "Say what is configured, and where."),
    "demo": ("featurestore.cli.demo:demo", "Take a bundled sample through every step."),
}
_SUMMARIES = {
    "ingest": "Put structures, splits, texts and embeddings into the store.",
    "models": "Weights of encoders; choose, compare and move trained models.",
    "predict": "Predict materials from files or the store.",
    "train": "Train predictors on training views.",
    "explain": "Say which part of a text a model relies on.",
    "study": "Make a whole study from one file.",
    "explore": "Show the store in a browser.",
    "status": "Say what is lacking since new data came.",
    "update": "Make what is lacking: texts, vectors, folds, models.",
}


@click.group(
    cls=RootGroup,
    built_in=_BUILT_IN,
    # The root command finds the other rooms' groups there.
    entry_points="featurestore.commands",
    summaries=_SUMMARIES,
    context_settings=CONTEXT,
)
@click.version_option(package_name="materials-featurestore", prog_name="featurestore")
@loudness_options
def root() -> None:
    """An embedding feature store for materials.

    Crystal structures go in; versioned graph and text embeddings stand in LanceDB; SQL assembles
    training views; predictors and explanations read from the store alone.

    What options leave out comes from the environment, then from featurestore.toml here or in a
    folder above: see 'featurestore config show'.

    \b
    Example:
      featurestore ingest structures my-cifs/ --properties targets.csv
      featurestore info
    """
