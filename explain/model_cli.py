"""``featurestore explain segments``, ``words`` and ``report``: looking into stored models."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import click

from explain.kinds import UNITS
from explain.options import also_by_options, encode_option, erasure_option, model_option
from featurestore.cli.options import (
    CONTEXT,
    at_option,
    count_option,
    figure_option,
    file_option,
    fold_option,
    format_option,
    models_options,
    store_option,
)

if TYPE_CHECKING:
    from explain.contributions import Contributions
    from explain.curves import Curve
    from explain.words import MissingTextsError
    from featurestore.model_request import ModelRequest

Result = TypeVar("Result")


@click.command(context_settings=CONTEXT)
@models_options("hybrid models")
@fold_option
@also_by_options(at_least=5)
@figure_option("PNG file for a chart; the models are then of one property.")
@store_option
@format_option
def segments(
    request: ModelRequest,
    fold: str,
    by: str | None,
    at_least: int,
    figure: Path | None,
    store_uri: str,
    output_format: str,
) -> None:
    """Replace the atom, bond or angle segment, or the text vector, by its training mean.

    The difference is the MAE without the part minus the MAE with it, with a 95 % bootstrap interval
    over materials; p_holm is of a sign-flip test, corrected for the number of rows of a model;
    change is the mean absolute change of the prediction. Models that differ only by their seed
    share a row: their errors are averaged for each material.

    \b
    Example:
      featurestore explain segments --property Tc_supercon --split paper -o segments.png
      featurestore explain segments --model Tc_supercon_structure_7b --by crystal_system
    """
    from explain.choice import hybrid_models
    from explain.segments import segment_effects, segments_table
    from explain.segments_figure import write_segments_figure
    from featurestore.errors import InvalidInputError
    from featurestore.store import FeatureStore
    from train.display import print_captioned

    store = FeatureStore.open(store_uri)
    models = hybrid_models(store, request)
    properties = sorted({model.parameters.property for model in models})
    if figure is not None and len(properties) > 1:
        raise InvalidInputError(
            f"one chart is for one property; these models are of {', '.join(properties)}"
        )
    results = segment_effects(store, models, fold=fold, by=by, at_least=at_least)
    shared = [
        *("property", "text_source", "features", "encoders", "predictor"),
        *("split", "fold", "seeds", "group", "unit"),
    ]
    print_captioned(segments_table(results), output_format, shared)
    if figure is not None:
        write_segments_figure(results, figure)
        click.echo(f"Wrote {figure}", err=True)


@click.command(context_settings=CONTEXT)
@model_option
@click.option(
    "--material",
    "materials",
    multiple=True,
    metavar="ID",
    help="Material to show in full (may be repeated). Default: three of the test fold.",
)
@file_option("path", "HTML file.", required=True)
@store_option
@at_option
def report(
    name: str, materials: tuple[str, ...], path: Path, store_uri: str, at: str | None
) -> None:
    """Write one self-contained page on a model: its training, its errors, what it relies on.

    The page shows what 'explain tags', 'explain segments' and 'explain words' have stored, and says
    which command makes what is missing. It needs no network and runs no script.

    \b
    Example:
      featurestore explain report --model Tc_supercon_structure_7b -o report.html
    """
    from explain.report import write_report
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        write_report(session, name, path, materials, store_uri)
    click.echo(f"Wrote {path}", err=True)


@click.command(context_settings=CONTEXT)
@click.argument("material", metavar="MATERIAL")
@model_option
@click.option(
    "--unit",
    "kinds",
    type=click.Choice(UNITS),
    multiple=True,
    default=("word",),
    show_default=True,
    help="Which parts of the text (may be repeated).",
)
@erasure_option
@click.option(
    "--curves",
    is_flag=True,
    help="Erase more and more words, against random orders, and print that instead.",
)
@count_option("--orders", 10, "Random orders for --curves.")
@click.option("--seed", default=0, show_default=True, type=int, help="Of the random orders.")
@file_option(
    "path",
    "HTML page (.html) with all that is measured, or the coloured text as an image (.png).",
)
@encode_option
@store_option
@format_option
def words(
    material: str,
    name: str,
    kinds: tuple[str, ...],
    erasure: str,
    curves: bool,
    orders: int,
    seed: int,
    path: Path | None,
    encode: bool,
    store_uri: str,
    output_format: str,
) -> None:
    """Show what each word of a material's text adds to its prediction.

    A contribution is the prediction with the part minus the prediction without it, mean over the
    models that differ only by their seed. On a terminal the text is printed in colours, else a
    table. --curves needs the contributions of words, and prints comprehensiveness and sufficiency
    when 1, 5, 10, 20 and 50 % of the words are erased, and their means (AOPC).

    \b
    Example:
      featurestore explain words JVASP-1151 --model Tc_supercon_structure_7b --encode
      featurestore explain words JVASP-1151 --model Tc_supercon_structure_7b \\
          --unit tag --unit sentence --unit word --curves -o JVASP-1151.html
    """
    import pyarrow as pa

    from explain.contributions import contributions_table
    from explain.curves import curves_table
    from explain.rows import seed_siblings
    from explain.text_figure import write_text_figure
    from explain.words import word_curves, word_effects
    from explain.words_page import write_words_page
    from featurestore.store import FeatureStore
    from train.display import print_captioned

    if path is not None and path.suffix not in (".html", ".png"):
        raise click.UsageError("The file's name ends in .html or .png.")
    if curves and "word" not in kinds:
        raise click.UsageError("--curves ranks words: add --unit word.")
    kinds = tuple(dict.fromkeys(kinds))
    store = FeatureStore.open(store_uri)
    with store.session() as session:
        models = seed_siblings(session, name)
    found = _with_vectors(encode, lambda: word_effects(store, models, material, kinds, erasure))
    of_words = next((one for one in found if one.kind == "word"), None)
    drawn: Sequence[Curve] = ()
    if curves:
        assert of_words is not None
        ranked = of_words
        drawn = _with_vectors(encode, lambda: word_curves(store, ranked, orders=orders, seed=seed))
        print_captioned(curves_table(drawn), output_format, ["random_orders", "seeds"])
    elif output_format == "table" and sys.stdout.isatty():
        _print_coloured(found)
    else:
        shared = ["material_id", "formula", "property", "text_source", "seeds"]
        shared += ["erasure", "target", "prediction", "unit"]
        table = pa.concat_tables([contributions_table(one) for one in found])
        print_captioned(table, output_format, shared)
    if path is not None and path.suffix == ".html":
        write_words_page(found, drawn, path)
    elif path is not None:
        write_text_figure(of_words or found[0], path)
    if path is not None:
        click.echo(f"Wrote {path}", err=True)


def _print_coloured(found: Sequence[Contributions]) -> None:
    from explain.terminal import coloured_text, summary

    width = min(shutil.get_terminal_size().columns, 100)
    for one in found:
        click.echo(summary(one) + "\n\n" + coloured_text(one, width) + "\n")


def _with_vectors(encode: bool, measure: Callable[[], Result]) -> Result:
    """Measure; where vectors are missing, make them or say how."""
    from explain.words import MissingTextsError
    from featurestore.cli import root
    from featurestore.errors import MissingDataError

    try:
        return measure()
    except MissingTextsError as missing:
        if not encode:
            path = _write_variants(missing) if missing.many else None
            raise MissingDataError(missing.text(path)) from None
        with TemporaryDirectory() as folder:
            file = None
            if missing.many:
                file = str(Path(folder) / "variants.txt")
                Path(file).write_text("\n".join(missing.variants) + "\n", "utf-8")
            # By its name, as a user would: this room does not import the one that encodes.
            status = root.main(missing.command(file)[1:], standalone_mode=False)
        if status:
            raise MissingDataError("the missing vectors could not be made; see above") from None
    return measure()


def _write_variants(missing: MissingTextsError) -> str:
    """Put the variants into a file in this folder, for the command that makes their vectors."""
    from featurestore.output import atomic_path

    name = re.sub(r"[^A-Za-z0-9.-]+", "_", missing.material_id)
    path = Path(f"variants_{name}.txt")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(missing.variants) + "\n", "utf-8")
    return str(path)
