"""``featurestore ingest embeddings``: vectors of structures and texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, cluster_options, set_option, store_option
from ingest.cli.options import retry_option, selection_options
from ingest.cli.printing import print_ingested

if TYPE_CHECKING:
    from ingest.stages.selection import Selection


@click.command(context_settings=CONTEXT)
@click.option(
    "--encoder",
    required=True,
    metavar="NAME",
    help="Named weights, a folder of weights, or an encoder that needs none: 'featurestore parts "
    "encoders'.",
)
@click.option(
    "--text", "--source", "source", metavar="SOURCE", help="Text source, for a text encoder."
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    help="Text variant (may be repeated), see below.  [default: full]",
)
@click.option(
    "--variants-file",
    type=click.Path(path_type=Path),
    help="File of further variants, one a line.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    help="Arithmetic; another precision or setting is another encoder in the store.  "
    "[default: float32]",
)
@click.option("--device", help="Where it computes: cpu or cuda.  [default: cpu]")
@click.option(
    "--layer",
    help="ALIGNN: last, embedding, alignn_1 …, gcn_1 …; BERT: 0 the embeddings, -1 the last.",
)
@click.option("--backend", type=click.Choice(["torch", "dgl"]), help="ALIGNN: default torch.")
@click.option("--pooling", type=click.Choice(["mean", "cls"]), help="BERT: default mean.")
@click.option("--max-tokens", type=click.IntRange(3), help="BERT: default 512.")
@set_option("encoders")
@selection_options
@cluster_options
@retry_option
@store_option
def embeddings(
    encoder: str,
    source: str | None,
    variants: tuple[str, ...],
    variants_file: Path | None,
    precision: str | None,
    device: str | None,
    layer: str | None,
    backend: str | None,
    pooling: str | None,
    max_tokens: int | None,
    settings: tuple[str, ...],
    selection: Selection,
    retry_failures: bool,
    store_uri: str,
) -> None:
    """Encode every structure, or every text of a source, that has no vector yet.

    A variant is full, or a rule and a part of the text: without deletes the part, only deletes all
    else, mask puts [MASK] in place of its words. The part is TAG,TAG (its sentences), sentence:N,N
    or word:N,N (numbered from 0), random:SEED:TAG or random-words:SEED:TAG (as many sentences or
    words as the tag has, at random).

    Shorthands: RULE:each, RULE:random:SEED:each and RULE:random-words:SEED:each stand for one
    variant for each tag, RULE:subsets for one for each set of tags, word:each and sentence:each for
    the deletion and the masking of every single one. Equal texts are encoded once.

    \b
    Example:
      featurestore ingest embeddings --encoder alignn-ff
      featurestore ingest embeddings --encoder minilm --text chemnlp --variant without:each
      featurestore ingest embeddings --encoder minilm --text chemnlp --variant mask:word:each \\
          --material JVASP-1151
    """
    from featurestore.plugins import parse_settings
    from featurestore.store import FeatureStore
    from ingest.encoders.registry import named_encoder
    from ingest.library.vectors import encode
    from ingest.stages.variants import read_variants_file

    part = named_encoder(encoder).part
    if part.kind == "structure" and source is not None:
        raise click.UsageError(f"{encoder} encodes structures: it takes no --text.")
    if part.kind == "text" and source is None:
        raise click.UsageError(f"{encoder} encodes texts: name a --text.")
    if part.kind == "structure" and (variants or variants_file):
        raise click.UsageError(f"{encoder} encodes structures: they have no variants.")
    options = {
        "precision": precision,
        "device": device,
        "layer": layer,
        "backend": backend,
        "pooling": pooling,
        "max_tokens": max_tokens,
    }
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    chosen = parse_settings(part, [*given, *settings])
    if variants_file is not None:
        variants = (*variants, *read_variants_file(variants_file))
    store = FeatureStore.open(store_uri)
    print_ingested(
        lambda: encode(
            store,
            encoder,
            source,
            variants,
            selection,
            settings=chosen,
            retry_failures=retry_failures,
        )
    )
