"""``featurestore train align``: a joint space of structures and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featurestore.cli.options import (
    CONTEXT,
    count_option,
    folder_option,
    format_option,
    store_option,
)
from featurestore.output.notes import note
from train.cli.options import seed_option

hold_out_option = click.option(
    "--hold-out",
    multiple=True,
    metavar="SPLIT",
    help="Never learn from the validation and test materials of this stored split, of any property "
    "(may be repeated). Default: a random tenth each is held out.",
)


@click.command(context_settings=CONTEXT)
@click.option("--structure-encoder", required=True, metavar="NAME", help="Whose vectors to pair.")
@click.option("--text", "text_source", required=True, metavar="SOURCE", help="Text source.")
@click.option("--text-encoder", required=True, metavar="NAME", help="… with this one's.")
@folder_option("The two encoders are the folders NAME-structure and NAME-text.", required=True)
@hold_out_option
@seed_option("Of folds, weights and batches.")
@count_option("--dimension", 256, "Width of the joint space.", at_least=2)
@count_option("--hidden", 512, "Width of the layer before it.")
@count_option("--epochs", 60, "Most passes over the pairs.")
@count_option("--patience", 10, "Passes without a better one after which it stops.")
@count_option("--batch-size", 512, "Pairs among which each is to be told.", at_least=2)
@count_option("--group-size", 8, "Pairs of like composition that come together; 1: none.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="Highest.")
@click.option("--dropout", type=float, default=0.2, show_default=True, help="In training.")
@store_option
@format_option
def align(
    structure_encoder: str,
    text_source: str,
    text_encoder: str,
    folder: Path,
    hold_out: tuple[str, ...],
    seed: int,
    store_uri: str,
    output_format: str,
    **settings: Any,
) -> None:
    """Train a joint space of stored structure and text vectors, to search one by the other.

    It prints what the materials of the test fold find of each other, beside the neighbours of
    training pairs without any training, and beside chance.

    \b
    Example:
      featurestore train align --structure-encoder alignn-ff --text chemnlp \\
          --text-encoder minilm -o joint
      featurestore ingest embeddings --encoder joint-structure
      featurestore ingest embeddings --encoder joint-text --text chemnlp
      featurestore search text "a layered oxide" --encoder joint-text --find structure
    """
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore
    from train.encoders.alignment.align import align as train_space
    from train.encoders.alignment.align import lines
    from train.encoders.alignment.pairs import stored_pairs
    from train.encoders.alignment.trainer import AlignmentTraining

    training = AlignmentTraining(**settings)
    store = FeatureStore.open(store_uri)
    arguments = {
        "structure_encoder": structure_encoder,
        "text_encoder": text_encoder,
        "text": text_source,
        "hold_out": list(hold_out),
        "seed": seed,
        "settings": vars(training),
    }
    with store.run("train align", arguments) as run:
        with store.session() as session:
            pairs = stored_pairs(
                session,
                structure_encoder,
                text_encoder,
                text_source,
                hold_out=hold_out,
                seed=seed,
            )
        run.counts = pairs.folds.counts
        for said in pairs.folds.notes:
            note(f"note: {said}")
        done = train_space(pairs, folder, training, seed)
    if done.retrieval:
        print_table(pa.Table.from_pylist(lines(done.retrieval)), output_format)
    counts = ", ".join(f"{n:,} {fold}" for fold, n in pairs.folds.counts.items())
    note(
        f"Trained {done.epochs} epochs on pairs ({counts}) in {done.seconds:.0f} s; epoch "
        f"{done.best_epoch} kept.\nEncode with it: featurestore ingest embeddings --encoder "
        f"{done.folders['structure']}\n           and: featurestore ingest embeddings --encoder "
        f"{done.folders['text']} --text {text_source}"
    )
