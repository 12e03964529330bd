"""``featurestore explain words``: what each word of a text adds to a prediction."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from explain.cli.encode import with_content
from explain.cli.options import encode_option, erasure_option, model_option, text_option
from explain.erasing.kinds import UNITS
from featurestore.cli.completion import stored
from featurestore.cli.options import (
    CONTEXT,
    count_option,
    file_option,
    format_option,
    store_option,
)
from featurestore.output.notes import note

if TYPE_CHECKING:
    from explain.words.contributions import Contributions
    from explain.words.curves import Curve


@click.command(context_settings=CONTEXT)
@click.argument("material", metavar="MATERIAL", shell_complete=stored("materials"))
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
@text_option
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
    "Page with all that is measured (.html), or the coloured text (.png, .svg, .pdf).",
)
@encode_option
@store_option
@format_option
def words(
    material: str,
    name: str,
    kinds: tuple[str, ...],
    source: str | None,
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

    from explain.erasing.rows import seed_siblings
    from explain.words.analysis import word_curves, word_effects
    from explain.words.contributions import contributions_table
    from explain.words.curves import curves_table
    from explain.words.figure import write_text_figure
    from explain.words.page import write_words_page
    from featurestore.output.figures import FIGURE_SUFFIXES
    from featurestore.store import FeatureStore
    from train.display.printing import print_captioned

    if path is not None and path.suffix.lower() not in (".html", *FIGURE_SUFFIXES):
        raise click.UsageError("The file's name ends in .html, .png, .svg or .pdf.")
    if curves and "word" not in kinds:
        raise click.UsageError("--curves ranks words: add --unit word.")
    kinds = tuple(dict.fromkeys(kinds))
    store = FeatureStore.open(store_uri)
    with store.session() as session:
        models = seed_siblings(session, name)
    found = with_content(
        encode, lambda: word_effects(store, models, material, kinds, erasure, source)
    )
    of_words = next((one for one in found if one.kind == "word"), None)
    drawn: Sequence[Curve] = ()
    if curves:
        assert of_words is not None
        ranked = of_words
        drawn = with_content(encode, lambda: word_curves(store, ranked, orders=orders, seed=seed))
        print_captioned(curves_table(drawn), output_format, ["random_orders", "seeds"])
    elif output_format == "table" and sys.stdout.isatty():
        _print_coloured(found)
    else:
        shared = ["material_id", "formula", "property", "text_source", "seeds"]
        shared += ["erasure", "target", "prediction", "unit"]
        table = pa.concat_tables([contributions_table(one) for one in found])
        print_captioned(table, output_format, shared)
    if path is not None and path.suffix.lower() == ".html":
        write_words_page(found, drawn, path)
    elif path is not None:
        write_text_figure(of_words or found[0], path)
    if path is not None:
        note(f"Wrote {path}")


def _print_coloured(found: Sequence[Contributions]) -> None:
    from explain.words.terminal import coloured_text, summary

    width = min(shutil.get_terminal_size().columns, 100)
    for one in found:
        click.echo(summary(one) + "\n\n" + coloured_text(one, width) + "\n")
