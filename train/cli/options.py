"""Options that the commands of ``featurestore train`` share, as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import (
    Command,
    count_option,
    names_features,
    require_features,
    together,
    view_options,
)
from featurestore.views.request import GRAPH, ViewRequest
from train.model_request import ModelRequest

if TYPE_CHECKING:
    from featurestore.store import FeatureStore
    from train.predictors.base import Recipe

property_option = click.option(
    "--property",
    "property_name",
    required=True,
    metavar="NAME",
    shell_complete=stored("properties"),
    help="What to predict.",
)


property_source_option = click.option(
    "--property-source", metavar="NAME", help="Source of the targets, where there are several."
)


def seed_option(what: str) -> Callable[[Command], Command]:
    """``--seed``; ``what`` says what it decides."""
    return click.option("--seed", default=0, show_default=True, help=what)


limit_option = click.option(
    "--limit", type=click.IntRange(20), help="Only so many structures, at random."
)
device_option = click.option(
    "--device", default="cpu", show_default=True, help="Where it computes: cpu or cuda."
)


def precision_option(what: str) -> Callable[[Command], Command]:
    """``--precision`` of a training; ``what`` says of what."""
    return click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16"]),
        default="float32",
        show_default=True,
        help=what,
    )


def on_view_options(of_seed: str, *, vectors: bool = True) -> Callable[[Command], Command]:
    """``--property``, those of `view_options`, and ``--seed``; ``vectors`` must be named or not."""
    of_view = functools.partial(view_options, required=vectors)
    return together(property_option, of_view, seed_option(of_seed))


def asked_for(
    predictor: str, settings: Sequence[str], request: ViewRequest, store_uri: str
) -> tuple[FeatureStore, Recipe, ViewRequest]:
    """The store, the recipe that suits the property, and the view that suits what it reads.

    Raises
    ------
    click.UsageError
        If no split is named, or features that it does not read, or none that it does.
    """
    from featurestore.store import FeatureStore
    from train.predictors.assignments import parsed_settings
    from train.predictors.registry import make_recipe, predictor_part
    from train.tasks.choose import has_classes

    if predictor_part(predictor).reads == "structures":
        if names_features(request):
            raise click.UsageError(
                f"{predictor} learns from the structures: leave out the encoders and --features."
            )
        request = replace(request, features=GRAPH)
    else:
        require_features(request)
    if request.split is None:
        raise click.UsageError("Name a --split: training needs train, val and test folds.")
    store = FeatureStore.open(store_uri)
    classes = has_classes(store, request.property, request.property_source)
    changes = parsed_settings(predictor, settings, classes)
    return store, make_recipe(predictor, changes, classes=classes), request


def model_filters(kind: str = "models") -> Callable[[Command], Command]:
    """Options that choose all stored models of a kind, or some.

    The command gets them as ``request``, a `ModelRequest`.
    """

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def with_request(
            property_name: str | None, split: str | None, where: str | None, **given: Any
        ) -> Any:
            return command(request=ModelRequest((), property_name, split, where), **given)

        return together(
            click.option(
                "--property",
                "property_name",
                metavar="NAME",
                shell_complete=stored("properties"),
                help=f"All {kind} of this property.",
            ),
            click.option(
                "--split",
                metavar="NAME",
                shell_complete=stored("splits"),
                help=f"All {kind} of this split.",
            ),
            click.option(
                "--where",
                metavar="SQL",
                help=f"All {kind} for which this holds: a condition over the columns of models and "
                "text_source, as \"predictor = 'mlp' AND seed < 3\".",
            ),
        )(with_request)  # type: ignore[return-value]

    return add


def models_options(kind: str = "models") -> Callable[[Command], Command]:
    """Like `model_filters`, or models by name; one of the two has to be given."""

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def checked(names: tuple[str, ...], request: ModelRequest, **given: Any) -> Any:
            if bool(names) == (request != ModelRequest()):
                raise click.UsageError(
                    "Name models with --model, or choose all of a --property, a --split or --where "
                    "a condition holds."
                )
            return command(request=replace(request, names=names), **given)

        return together(
            click.option(
                "--model",
                "names",
                multiple=True,
                metavar="ID",
                shell_complete=stored("models"),
                help="Model id or its beginning (may be repeated); see: featurestore train list.",
            ),
            model_filters(kind),
        )(checked)  # type: ignore[return-value]

    return add


def groups_options(
    what: str, *, by: str | None = None, at_least: int
) -> Callable[[Command], Command]:
    """``--by`` and ``--at-least``; ``what`` says what makes the groups."""
    return together(
        click.option("--by", default=by, show_default=True, metavar="SQL", help=what),
        count_option("--at-least", at_least, "Groups with fewer materials are put together."),
    )
