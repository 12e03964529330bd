"""``featurestore train language-model``: a tokenizer and a model of a store's sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featurestore.cli.options import (
    CONTEXT,
    count_option,
    folder_option,
    format_option,
    store_option,
)
from featurestore.output.notes import note
from train.cli.align import hold_out_option
from train.cli.options import limit_option, seed_option
from train.cli.text_models import rate_option, text_options

if TYPE_CHECKING:
    from train.encoders.text.language import LanguageModel


@click.command(context_settings=CONTEXT)
@folder_option("Folder of the model; its name is the encoder's.", required=True)
@click.option(
    "--weights",
    metavar="NAME|FOLDER",
    help="Go on from this model of the BERT family, with more words. Default: a new small model.",
)
@count_option("--vocabulary", 4000, "Most tokens of a new model; or words added.", at_least=0)
@click.option(
    "--kind",
    type=click.Choice(["wordpiece", "bpe"]),
    default="wordpiece",
    show_default=True,
    help="Of a new model's tokenizer.",
)
@click.option(
    "--tokenizer",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="A folder whose tokenizer a new model takes.",
)
@click.option(
    "--compact",
    is_flag=True,
    help="Of a new tokenizer: a number is one word, a phrase that texts repeat one token.",
)
@count_option("--layers", 4, "Of a new model.")
@count_option("--hidden", 256, "Width of a new model.", at_least=4)
@count_option("--heads", 4, "Of a new model's attention.")
@click.option(
    "--dropout",
    type=click.FloatRange(0, 0.9),
    default=0.1,
    show_default=True,
    help="Of a new model, kept by what is trained from it.",
)
@click.option(
    "--compare",
    default="minilm",
    show_default=True,
    metavar="NAME|FOLDER",
    help="The model whose tokenizer is reported beside.",
)
@limit_option
@hold_out_option
@seed_option("Of folds, weights, masks and order.")
@rate_option(5e-4)
@text_options
@store_option
@format_option
def language_model(
    folder: Path,
    weights: str | None,
    vocabulary: int,
    kind: str,
    compact: bool,
    tokenizer: Path | None,
    layers: int,
    hidden: int,
    heads: int,
    dropout: float,
    compare: str,
    limit: int | None,
    hold_out: tuple[str, ...],
    seed: int,
    sources: tuple[str, ...],
    variant: str,
    digits: bool,
    decimals: int | None,
    store_uri: str,
    output_format: str,
    **training: Any,
) -> None:
    """Train a language model on stored sentences: its tokenizer, then to tell masked tokens.

    It prints what its tokenizer makes of texts it has not seen, beside a published one's. The state
    is kept after each round: the same command goes on after an interruption.

    \b
    Example:
      featurestore train language-model --text robocrystallographer -o my-language
      featurestore train text-source --weights my-language --property formation_energy_peratom \\
          --text robocrystallographer -o my-reader
    """
    from featurestore.store import FeatureStore
    from ingest.encoders.bert.new import Sizes
    from ingest.encoders.bert.numbers import NumberForm
    from train.encoders.text.language import Start, train_language_model
    from train.encoders.text.masked import MaskedTraining
    from train.encoders.text.sentences import stored_sentences

    if weights is not None and tokenizer is not None:
        raise click.UsageError("--weights brings its own tokenizer: leave out --tokenizer.")
    if compact and (weights is not None or tokenizer is not None):
        raise click.UsageError("--compact is for a tokenizer that is trained here.")
    settings = MaskedTraining(numbers=NumberForm(digits, decimals), **training)
    start = Start(
        weights=weights,
        vocabulary=vocabulary,
        kind=kind,
        compact=compact,
        tokenizer=tokenizer,
        sizes=Sizes(layers, hidden, heads, dropout=dropout),
        compare=compare,
    )
    store = FeatureStore.open(store_uri)
    arguments = {
        "text": list(sources),
        "variant": variant,
        "start": {**vars(start), "tokenizer": str(tokenizer or ""), "sizes": vars(start.sizes)},
        "limit": limit,
        "hold_out": list(hold_out),
        "seed": seed,
        "settings": {**vars(settings), "numbers": settings.numbers.said()},
    }
    with store.run("train language-model", arguments) as run:
        with store.session() as session:
            sentences = stored_sentences(
                session, sources, variant=variant, hold_out=hold_out, limit=limit, seed=seed
            )
        for said in sentences.folds.notes:
            note(f"note: {said}")
        model = train_language_model(sentences, start, folder, settings, seed)
        run.counts = sentences.folds.counts
    _print_language(model, output_format, sources, settings.max_tokens)


def _print_language(
    model: LanguageModel, output_format: str, sources: tuple[str, ...], max_tokens: int
) -> None:
    import pyarrow as pa

    from featurestore.output.rows import print_table

    print_table(pa.Table.from_pylist([vars(report) for report in model.reports]), output_format)
    if model.added:
        note(f"{model.added:,} words added to the vocabulary")
    note(
        f"Trained {model.rounds} rounds in {model.seconds:.0f} s, the weights of round "
        f"{model.best_round} kept in {model.folder}: 1 - p of masked tokens {model.error:.3f} on "
        f"the validation texts (by frequency alone {model.of_frequencies:.3f})"
    )
    if model.error >= model.of_frequencies:
        note("note: it knows no more than how frequent tokens are")
    for source in sources:
        note(
            f"Encode with it: featurestore ingest embeddings --encoder {model.folder} --text "
            f"{source} --max-tokens {max_tokens}"
        )
