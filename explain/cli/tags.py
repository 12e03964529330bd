"""``featurestore explain tags``: which kind of sentence a model relies on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from explain.cli.encode import with_content
from explain.cli.options import also_by_options, encode_option, erasure_option, text_option
from explain.tags.table import tags_table
from featurestore.cli.options import (
    CONTEXT,
    figure_format_option,
    fold_option,
    folder_option,
    format_option,
    store_option,
)
from featurestore.output.notes import note
from train.cli.options import models_options

if TYPE_CHECKING:
    from explain.erasing.effects_table import StoredEffects
    from explain.tags.analysis import TagAnalysis
    from featurestore.store import FeatureStore
    from train.model_request import ModelRequest
    from train.models import StoredModel


@click.command(context_settings=CONTEXT)
@models_options("hybrid models")
@fold_option
@click.option(
    "--tagger",
    type=click.Choice(["store", "reference"]),
    default="store",
    show_default=True,
    help="One tag a sentence, or the overlapping tags of the reference implementation.",
)
@text_option
@erasure_option
@click.option(
    "--controls",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Random draws of as many sentences, and of as many words, to compare with.",
)
@click.option("--quick", is_flag=True, help="Each tag erased, without controls and sets of tags.")
@click.option("--retrain", is_flag=True, help="Also train without each tag, and test without it.")
@also_by_options(at_least=10)
@encode_option
@click.option("--stored", is_flag=True, help="Only read what an earlier run has stored.")
@folder_option("Folder for the heatmap.", default=Path("reports"), show_default=True)
@figure_format_option
@store_option
@format_option
def tags(
    request: ModelRequest,
    fold: str,
    tagger: str,
    source: str | None,
    erasure: str,
    controls: int,
    quick: bool,
    retrain: bool,
    by: str | None,
    at_least: int,
    encode: bool,
    stored: bool,
    folder: Path,
    suffix: str,
    store_uri: str,
    output_format: str,
) -> None:
    """Erase each tag's sentences and see how much worse the model, as it is, predicts.

    Name models, or choose all of structure and full text by property, split or a condition; models
    that differ only by their seed share a row. Beside the change of the MAE with its 95 %
    interval stand the change with as many random sentences and words erased, the change with the
    tag's sentences alone, and the tag's exact Shapley value over all sets of tags.

    Nothing is encoded: where vectors are missing, the error is the command that makes them.

    \b
    Example:
      featurestore explain tags --property Tc_supercon --split paper -o reports
    """
    from explain.tags.analysis import TagAnalysis, tag_effects
    from explain.tags.heatmap import write_tag_heatmap
    from featurestore.output.names import file_name
    from featurestore.store import FeatureStore
    from train.display.printing import print_captioned, with_readable_spreads
    from train.models import hybrid_models

    if stored and (encode or retrain):
        raise click.UsageError("--stored computes nothing: it takes no --encode or --retrain.")
    analysis = TagAnalysis(
        fold=fold,
        tagger=tagger,
        erasure=erasure,
        control_seeds=() if quick else tuple(range(controls)),
        sets=not quick,
        by=by,
        at_least=at_least,
        retrain=retrain,
        text=source,
    )
    store = FeatureStore.open(store_uri)
    models = hybrid_models(store, request)
    if stored:
        results = _read(store, models, analysis)
    else:
        results = with_content(encode, lambda: tag_effects(store, models, analysis))
    shared = ["property", "text_source", "features", "predictor", "encoders", "split", "fold"]
    shared += ["erasure", "n", "seeds", "unit", "subset"]
    table = tags_table(results)
    if output_format == "table":
        table = with_readable_spreads(table, "std", "mae_full")
    print_captioned(table, output_format, shared)
    for sentence in _notes(results):
        note(f"Note: {sentence}")
    how = tagger if erasure == "deletion" else f"{tagger}_{erasure}"
    name = file_name("tags", request.property or "models", fold, how, suffix=suffix)
    path = folder / name
    write_tag_heatmap(results, path)
    note(f"Wrote {path}")


def _read(
    store: FeatureStore, models: Sequence[StoredModel], analysis: TagAnalysis
) -> list[StoredEffects]:
    from explain.erasing.effects_table import stored_effects
    from explain.erasing.texts import erased_texts
    from train.models import seed_groups

    left_out = ("retrain", "text")
    wanted = {name: value for name, value in vars(analysis).items() if name not in left_out}
    wanted["control_seeds"] = list(analysis.control_seeds)
    with store.session() as session:
        cases = [
            (group, text.method(analysis.erasure))
            for group in seed_groups(models)
            for text in erased_texts(session, group.first, analysis.text)
        ]
        return stored_effects(session, cases, wanted)


def _notes(results: Sequence[StoredEffects]) -> list[str]:
    """Truncation and the strongest interaction, which the table has no place for."""
    from explain.erasing.outputs import output_unit
    from featurestore.output.labels import printed_unit

    notes = []
    for result in results:
        model = result.models.first
        label = f"{model.parameters.property}, {result.text}"
        truncated = result.find("truncated")
        assert truncated is not None
        notes.append(f"{label}: {100 * truncated.value:.0f} % of the texts are cut by the encoder")
        pairs = [
            row for row in result.measures if (row.measure, row.subset) == ("interaction", "all")
        ]
        if pairs:
            strongest = max(pairs, key=lambda row: abs(row.value))
            unit = printed_unit(output_unit(model))
            notes.append(
                f"{label}: strongest interaction {strongest.part}, {strongest.value:+.3g} {unit}"
            )
    return notes
