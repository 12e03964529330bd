"""Options that several commands share, as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from featurestore.cli.completion import stored
from featurestore.configuration.defaults import ConfiguredDefaults
from featurestore.output.formats import PRINTED_FORMATS
from featurestore.views.request import FEATURES, FOLDS, ViewRequest

Command = TypeVar("Command", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"]}


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """One decorator that adds several options, in the order in which help lists them."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def store_option(command: Command) -> Command:
    """Add ``--store``; the command gets it as ``store_uri``."""
    return click.option(
        "--store",
        "store_uri",
        default="materials-store",
        show_default=True,
        envvar="FEATURESTORE_URI",
        show_envvar=True,
        metavar="URI",
        help="Folder of the feature store, or s3://bucket/prefix.",
    )(command)


def at_option(command: Command) -> Command:
    """Add ``--at``, for commands that only read; the command gets it as ``at``."""
    return click.option(
        "--at",
        metavar="NAME|TIME",
        shell_complete=stored("snapshots"),
        help="See the store as of a snapshot, or of a time such as 2026-11-22T18:30 (UTC).",
    )(command)


def format_option(command: Command) -> Command:
    """Add ``--format``; the command gets it as ``output_format``."""
    return formats_option(PRINTED_FORMATS)(command)


def formats_option(
    formats: Sequence[str], what: str = "How rows are printed."
) -> Callable[[Command], Command]:
    """``--format`` with formats of the command's own, the first the default."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help=what,
    )


def file_option(parameter: str, what: str, **settings: Any) -> Callable[[Command], Command]:
    """``-o FILE``, for commands that write a file; the command gets it as ``parameter``."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("-o", "--output", parameter, type=kind, help=what, **settings)


def folder_option(what: str, **settings: Any) -> Callable[[Command], Command]:
    """``-o FOLDER``, for commands that write several files; the command gets it as ``folder``."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option("-o", "--output", "folder", type=kind, help=what, **settings)


def figure_option(
    what: str = "PNG, SVG or PDF file for a chart.",
    *names: str,
    **settings: Any,
) -> Callable[[Command], Command]:
    """``-o FILE``, or by other names, for a chart; the command gets it as ``figure``.

    What names no figure's format is refused before anything is computed.
    """
    return click.option(
        *(names or ("-o", "--output")),
        "figure",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_checked_figure,
        help=what,
        **settings,
    )


def figure_format_option(command: Command) -> Command:
    """Add ``--figure-format``, for commands that name their figures; they get a ``suffix``."""
    return click.option(
        "--figure-format",
        "suffix",
        type=click.Choice(["png", "svg", "pdf"]),
        default="png",
        show_default=True,
        callback=lambda context, parameter, value: f".{value}",
        help="Of the figures.",
    )(command)


def _checked_figure(context: click.Context, parameter: Any, path: Path | None) -> Path | None:
    from featurestore.output.figures import check_figure_path

    if path is not None:
        check_figure_path(path)
    return path


def output_option(command: Command) -> Command:
    """Add ``-o``, for commands whose rows may go to a file; the command gets it as ``output``."""
    what = "Write the rows to a .parquet, .arrow, .csv, .json, .ndjson or .npz file."
    return file_option("output", what)(command)


def count_option(
    name: str, default: int, what: str, at_least: int = 1
) -> Callable[[Command], Command]:
    """An option for a whole number, 1 or more."""
    return click.option(
        name, type=click.IntRange(min=at_least), default=default, show_default=True, help=what
    )


def fold_option(command: Command) -> Command:
    """Add ``--fold``, for commands that look at the rows of one; the command gets its name."""
    return click.option(
        "--fold", type=click.Choice(FOLDS), default="test", show_default=True, help="Rows."
    )(command)


def view_options(command: Command, *, required: bool = True) -> Command:
    """Add the options that name a training view's parts.

    The command has an argument or option ``property_name``; it gets all of them as ``request``, a
    `ViewRequest`. Without ``required`` this may name no features.
    """

    @functools.wraps(command)
    def with_request(property_name: str, **given: Any) -> Any:
        fields = {name: given.pop(name) for name in _VIEW_FIELDS}
        request = _with_configured(ViewRequest(property_name, **fields))
        if required:
            require_features(request)
        return command(request=request, **given)

    return _view_options(with_request)  # type: ignore[return-value]


def _with_configured(request: ViewRequest) -> ViewRequest:
    """With the configured encoders and source, where ``--features`` asks for one and names none."""
    if request.features is None:
        return request
    defaults = click.get_current_context().default_map
    if not isinstance(defaults, ConfiguredDefaults):
        return request
    lacking = {
        field: defaults.configuration.get(f"encoders.{key}")
        for kind, field, key in (
            ("structure", "structure_encoder", "structure"),
            ("text", "text_encoder", "text"),
            ("text", "text_source", "source"),
        )
        if kind in request.features.split("+") and getattr(request, field) is None
    }
    return replace(request, **lacking)


def require_features(request: ViewRequest) -> None:
    """Refuse a request that names no features.

    Raises
    ------
    click.UsageError
        Says what to name.
    """
    if not names_features(request):
        raise click.UsageError(
            "Name --structure-encoder, --text-encoder or both, or --feature, or --feature-set."
        )


def names_features(request: ViewRequest) -> bool:
    """Whether a request names any features."""
    return bool(request.inputs or request.feature_set or request.short_features)


_view_options = together(
    click.option(
        "--features",
        type=click.Choice(FEATURES),
        help="Which vectors to take. Default: those whose encoders are named.",
    ),
    click.option(
        "--feature",
        "inputs",
        multiple=True,
        metavar="FEATURE",
        help="In place of the options for encoders, any list of features: ENCODER, "
        "ENCODER.SEGMENT, ENCODER:SOURCE, ENCODER:SOURCE:VARIANT, sql:EXPRESSION or "
        "property:NAME (may be repeated).",
    ),
    click.option(
        "--feature-set",
        metavar="NAME",
        shell_complete=stored("feature_sets"),
        help="In place of --feature, a stored list; see: featurestore features list.",
    ),
    click.option(
        "--where",
        metavar="SQL",
        help="Only materials for which this condition over materials and properties holds.",
    ),
    click.option(
        "--text",
        "text_source",
        metavar="SOURCE",
        shell_complete=stored("text_sources"),
        help="Text source.",
    ),
    click.option(
        "--structure-encoder",
        metavar="NAME",
        shell_complete=stored("structure_encoders"),
        help="Structure encoder.",
    ),
    click.option(
        "--text-encoder",
        metavar="NAME",
        shell_complete=stored("text_encoders"),
        help="Text encoder.",
    ),
    click.option(
        "--variant",
        default="full",
        show_default=True,
        help="Text variant: full, without:TAG or only:TAG.",
    ),
    click.option(
        "--split",
        metavar="NAME",
        shell_complete=stored("splits"),
        help="Split that gives the folds.",
    ),
    click.option(
        "--property-source",
        metavar="NAME",
        help="Source of the targets, where a property has several.",
    ),
)
_VIEW_FIELDS = (
    "features",
    "inputs",
    "feature_set",
    "where",
    "text_source",
    "structure_encoder",
    "text_encoder",
    "variant",
    "split",
    "property_source",
)


def set_option(parts: str) -> Callable[[Command], Command]:
    """``--set``, for a command that makes one of these parts; it gets them as ``settings``."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any setting (may be repeated); which there are, with their values and defaults, says "
        f"'featurestore parts {parts} NAME'.",
    )


def cluster_options(command: Command) -> Command:
    """Add ``--ray`` and what a worker takes; the command runs on the cluster that they name."""

    @functools.wraps(command)
    def on_the_cluster(
        ray: str | None, cpus_per_worker: float, gpus_per_worker: float, **given: Any
    ) -> Any:
        from featurestore.machine.cluster import Cluster, on_cluster

        cluster = Cluster(ray, cpus_per_worker, gpus_per_worker) if ray else None
        with on_cluster(cluster):
            return command(**given)

    return _cluster_options(on_the_cluster)  # type: ignore[return-value]


_cluster_options = together(
    click.option(
        "--ray",
        envvar="FEATURESTORE_RAY",
        show_envvar=True,
        metavar="HOST:PORT|local",
        help="Work on this Ray cluster; 'local' tries one out on this machine.",
    ),
    click.option(
        "--cpus-per-worker",
        type=click.FloatRange(0, min_open=True),
        default=1.0,
        show_default=True,
        help="Of the cluster, for each worker.",
    ),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        help="Of the cluster, for each worker.",
    ),
)
