"""``featurestore train text-source``, and the options of whatever learns from texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featurestore.cli.options import (
    CONTEXT,
    Command,
    count_option,
    folder_option,
    store_option,
    together,
)
from featurestore.output.notes import note
from train.cli.align import hold_out_option
from train.cli.options import device_option, limit_option, precision_option, seed_option

if TYPE_CHECKING:
    from train.encoders.text.source import TextSource

#: How texts are read and steps taken, by whatever learns from them.
text_options = together(
    click.option(
        "--text",
        "sources",
        required=True,
        multiple=True,
        metavar="SOURCE",
        help="Text source (may be repeated).",
    ),
    click.option(
        "--variant", default="full", show_default=True, help="Text variant, as for ingest."
    ),
    count_option("--max-tokens", 256, "Tokens after which a text is cut.", at_least=3),
    count_option("--passes", 3, "Passes over the texts."),
    count_option("--texts-a-round", 2000, "Texts after which it is judged, and kept on disk."),
    count_option("--patience", 5, "Rounds without a better one after which it stops."),
    count_option("--batch-size", 16, "Texts of a step."),
    click.option(
        "--digits", is_flag=True, help="Read numbers digit by digit, each a word of its own."
    ),
    click.option(
        "--decimals", type=click.IntRange(0, 9), help="Round decimal fractions to so many places."
    ),
    precision_option("Of matrix products; bfloat16 on a GPU or a CPU with AMX."),
    device_option,
)


def rate_option(default: float) -> Callable[[Command], Command]:
    """``--learning-rate``, of the highest of the schedule."""
    return click.option(
        "--learning-rate", type=float, default=default, show_default=True, help="The highest."
    )


@click.command(context_settings=CONTEXT)
@click.option(
    "--property",
    "properties",
    required=True,
    multiple=True,
    metavar="NAME",
    help="What to learn (may be repeated: all at once).",
)
@click.option(
    "--structure-encoder",
    metavar="NAME",
    help="Learn the stored vectors of this encoder as well.",
)
@count_option(
    "--components", 16, "With --structure-encoder: how much of them, in principal components."
)
@click.option(
    "--weights",
    default="minilm",
    show_default=True,
    metavar="NAME|FOLDER",
    help="The model it starts from, of the BERT family.",
)
@folder_option("Folder of the model; its name is the encoder's.", required=True)
@click.option(
    "--learn",
    type=click.Choice(["all", "upper", "lora"]),
    default="all",
    show_default=True,
    help="Which weights: all, those of the --upper-layers, or LoRA's beside the attention's.",
)
@count_option("--upper-layers", 2, "Layers that learn with --learn upper.", at_least=0)
@count_option("--rank", 8, "Of LoRA's matrices.")
@limit_option
@hold_out_option
@seed_option("Of folds, order and dropout.")
@rate_option(5e-5)
@text_options
@store_option
def text_source(
    properties: tuple[str, ...],
    structure_encoder: str | None,
    components: int,
    weights: str,
    folder: Path,
    learn: str,
    upper_layers: int,
    rank: int,
    limit: int | None,
    hold_out: tuple[str, ...],
    seed: int,
    sources: tuple[str, ...],
    variant: str,
    digits: bool,
    decimals: int | None,
    store_uri: str,
    **training: Any,
) -> None:
    """Fine-tune a text model on properties, from stored sentences, to encode texts with.

    The state is kept after each round: the same command goes on after an interruption.

    \b
    Example:
      featurestore train text-source --property formation_energy_peratom --text chemnlp \\
          --learn upper -o my-reader
      featurestore ingest embeddings --encoder my-reader --text chemnlp --max-tokens 256
    """
    from featurestore.store import FeatureStore
    from ingest.encoders.bert.numbers import NumberForm
    from train.encoders.text.corpus import stored_corpus
    from train.encoders.text.distilled import with_structure_vectors
    from train.encoders.text.network import Learning
    from train.encoders.text.regression import TextTraining
    from train.encoders.text.source import train_text_source

    settings = TextTraining(
        learning=Learning(learn, upper_layers, rank),
        numbers=NumberForm(digits, decimals),
        **training,
    )
    store = FeatureStore.open(store_uri)
    arguments = {
        "properties": list(properties),
        **(
            {"structure_encoder": structure_encoder, "components": components}
            if structure_encoder
            else {}
        ),
        "text": list(sources),
        "variant": variant,
        "weights": weights,
        "limit": limit,
        "hold_out": list(hold_out),
        "seed": seed,
        "settings": {**vars(settings), "learning": learn, "numbers": settings.numbers.said()},
    }
    with store.run("train text-source", arguments) as run:
        with store.session() as session:
            corpus = stored_corpus(
                session,
                properties,
                sources,
                variant=variant,
                hold_out=hold_out,
                limit=limit,
                seed=seed,
            )
            distilled = None
            if structure_encoder is not None:
                corpus, distilled = with_structure_vectors(
                    session, corpus, structure_encoder, components
                )
        for said in corpus.folds.notes:
            note(f"note: {said}")
        model = train_text_source(corpus, weights, folder, settings, seed, distilled)
        run.counts = corpus.folds.counts
    _print(model, corpus.folds.counts, len(corpus), settings.max_tokens, sources)


def _print(
    model: TextSource, counts: dict[str, int], texts: int, max_tokens: int, sources: tuple[str, ...]
) -> None:
    numbers = ", ".join(f"{n:,} {fold}" for fold, n in counts.items())
    click.echo(f"{texts:,} texts of structures: {numbers}")
    if model.truncated:
        note(
            f"note: {model.truncated:,} of them are longer than {max_tokens} tokens and were cut "
            f"there (the longest has {model.longest:,}); see --max-tokens"
        )
    for error in model.errors:
        click.echo(
            f"  {error.property}, {error.fold} MAE {error.mae:.4g} {error.unit} "
            f"(a constant: {error.constant:.4g}; {error.n:,} texts)"
        )
        if error.mae >= error.constant:
            note(
                f"note: on the {error.fold} fold the model is no better than a constant: it has "
                f"not learned {error.property}"
            )
    click.echo(
        f"Trained {model.rounds} rounds in {model.seconds:.0f} s, the weights of round "
        f"{model.best_round} kept in {model.folder}."
    )
    for source in sources:
        click.echo(
            f"Encode with it: featurestore ingest embeddings --encoder {model.folder} --text "
            f"{source} --max-tokens {max_tokens}"
        )
