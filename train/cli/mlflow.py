"""``featurestore train mlflow``: stored models as runs of MLflow."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, store_option
from featurestore.output.notes import note
from train.cli.options import model_filters
from train.model_request import ModelRequest


@click.command(context_settings=CONTEXT)
@model_filters()
@click.option(
    "--to",
    default="mlruns",
    show_default=True,
    metavar="FOLDER|URI",
    help="MLflow's folder, or the URI of its database or server.",
)
@click.option(
    "--experiment", metavar="NAME", help="Of MLflow.  [default: one for each property, as it]"
)
@store_option
def mlflow(request: ModelRequest, to: str, experiment: str | None, store_uri: str) -> None:
    """Write stored models into MLflow: settings, errors, and the error of every epoch.

    Models that are there are left as they are, so the command can be repeated.

    \b
    Example:
      featurestore train mlflow --property mbj_bandgap --to mlruns
    """
    from featurestore.store import FeatureStore
    from train.mlflow import MlflowRuns
    from train.models import requested_models

    with FeatureStore.open(store_uri).session() as session:
        models = requested_models(session, request)
        write = MlflowRuns(to, experiment)
        written = sum(write(session, model) for model in models)
    note(f"runs of MLflow in {to}: {written} written, {len(models) - written} already there")
