"""``featurestore train list``: the stored models."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, store_option
from train.cli.options import model_filters
from train.model_request import ModelRequest


@click.command("list", context_settings=CONTEXT)
@model_filters()
@store_option
@at_option
@format_option
def list_models(request: ModelRequest, store_uri: str, at: str | None, output_format: str) -> None:
    """List the stored models, oldest first.

    \b
    Example:
      featurestore train list --property mbj_bandgap --where "predictor = 'mlp'" --format csv
    """
    import pyarrow as pa

    from featurestore.store import FeatureStore
    from train.display.labels import predictor_label
    from train.display.printing import print_captioned
    from train.models import stored_models
    from train.tasks.columns import errors_of, measures_of

    with FeatureStore.open(store_uri, at=at).session() as session:
        models = stored_models(session, request.property, request.split, request.where)
    columns = {
        "model_id": [model.model_id for model in models],
        "predictor": [predictor_label(model) for model in models],
        "property": [model.parameters.property for model in models],
        "features": [model.parameters.features_name for model in models],
        "text_source": [model.text_source for model in models],
        "variant": [model.parameters.variant for model in models],
        "encoders": [model.encoders for model in models],
        "split": [model.parameters.split for model in models],
        "seed": [model.seed for model in models],
        "epochs": [model.metrics["epochs"] for model in models],
        "n_test": [model.metrics["folds"]["test"]["n"] for model in models],
        **{
            f"test_{error}": [m.error() if m.task.error == error else None for m in models]
            for error in errors_of(models)
        },
        **{
            f"test_{name}": [m.metrics["folds"]["test"].get(name) for m in models]
            for name in measures_of(models)
        },
        "unit": [model.parameters.unit for model in models],
    }
    shared = [
        "predictor",
        "property",
        "features",
        "text_source",
        "variant",
        "encoders",
        "split",
        "unit",
    ]
    print_captioned(pa.table(columns), output_format, shared)
