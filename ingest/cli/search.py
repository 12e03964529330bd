"""``featurestore search structure`` and ``search text``: searches that encode what they are given.

They stand in this room because only it makes vectors; what is found is featurestore's work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featurestore.cli.options import CONTEXT
from featurestore.cli.search_options import Asked, find_option, search_options, show
from featurestore.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featurestore.catalogue import Encoder
    from featurestore.crystal import Crystal

_WEIGHTS = click.option(
    "--weights",
    metavar="NAME|FOLDER",
    help="Where the encoder's weights are, if not under its name.",
)


@click.command(context_settings=CONTEXT)
@click.argument("file", type=click.Path(path_type=Path))
@_WEIGHTS
@find_option
@search_options
def structure(
    file: Path,
    weights: str | None,
    find: str | None,
    asked: Asked,
    store_uri: str,
    at: str | None,
) -> None:
    """Find the materials nearest to the structure in FILE (CIF, POSCAR, pymatgen or ASE JSON).

    It is encoded as the stored structures were, and not stored.

    \b
    Example:
      featurestore search structure POSCAR -k 5
    """
    from featurestore.search.questions import across, encoders_of, question_maker
    from featurestore.store import FeatureStore

    crystal = _crystal(file)
    store = FeatureStore.open(store_uri, at=at)
    with store.session() as session:
        named = encoders_of(session, asked.encoders, ("structure",))
        encoder = store.search.encoder(session, "structure", named.get("structure"))
        vector = _encoded(encoder, weights, crystal, str(file))
        question = question_maker(session, "structure", encoder=encoder.encoder_id)(vector)
        if find == "text":
            question = across(session, question, find, asked.text_source, asked.variant)
        hits = store.search.find(
            session,
            [question],
            asked.among(),
            metric=asked.metric,
            explain=asked.explain,
            explain_for=crystal.structure_id,
            exact=asked.exact,
        )
    show(hits, asked)


@click.command(context_settings=CONTEXT)
@click.argument("query")
@click.option(
    "--by",
    type=click.Choice(["embedding", "words", "both"]),
    help="Compare text vectors, look for the words (BM25), or both by reciprocal rank fusion.  "
    "[default: both; with --find structure: embedding]",
)
@_WEIGHTS
@find_option
@search_options
def text(
    query: str,
    by: str | None,
    weights: str | None,
    find: str | None,
    asked: Asked,
    store_uri: str,
    at: str | None,
) -> None:
    """Find materials whose descriptions fit QUERY.

    \b
    Example:
      featurestore search text "edge-sharing octahedra, layered oxide" --by words
      featurestore search text "a layered oxide" --encoder my-joint-text --find structure
    """
    from featurestore.catalogue import choose_encoder
    from featurestore.search.hits import HoldsWords, NearVector
    from featurestore.search.questions import encoders_of, partner, texts_of
    from featurestore.search.words import query_words
    from featurestore.store import FeatureStore

    query_words(query)
    store = FeatureStore.open(store_uri, at=at)
    across = find == "structure"
    if across and by not in (None, "embedding"):
        raise click.UsageError(f"--by {by} looks into descriptions: leave out --find structure.")
    by = by or ("embedding" if across else "both")
    with store.session() as session:
        questions: list[NearVector | HoldsWords] = []
        if across:
            named = encoders_of(session, asked.encoders, ("text",))
            # Of the text side nothing need be stored: what is found has no description, maybe.
            encoder = choose_encoder(session, named.get("text"), "text")
            other = partner(session, encoder)
            questions.append(NearVector(other, _encoded(encoder, weights, query, "the query")))
        else:
            generator, variant = texts_of(session, asked.text_source, asked.variant)
            if by != "words":
                named = encoders_of(session, asked.encoders, ("text",))
                encoder = store.search.encoder(session, "text", named.get("text"))
                vector = _encoded(encoder, weights, query, "the query")
                questions.append(NearVector(encoder, vector, generator, variant))
            if by != "embedding":
                questions.append(HoldsWords(query, generator, variant))
        hits = store.search.find(
            session,
            questions,
            asked.among(),
            metric=asked.metric,
            explain=asked.explain,
            exact=asked.exact,
        )
    show(hits, asked)


def _crystal(file: Path) -> Crystal:
    """The one structure in a file.

    Raises
    ------
    InvalidInputError
        If it cannot be read, or holds several.
    """
    from featurestore.failure import Failure
    from ingest.structures.files import read_structure_file

    records = read_structure_file(file)
    if len(records) != 1:
        raise InvalidInputError(f"{file} holds {len(records)} structures; search for one at a time")
    crystal = records[0].structure
    if isinstance(crystal, Failure):
        raise InvalidInputError(f"cannot read {file}: {crystal.message}")
    return crystal


def _encoded(
    encoder: Encoder, weights: str | None, content: Any, what: str
) -> npt.NDArray[np.float32]:
    """The vector of a structure or text by the very encoder whose vectors are stored.

    Raises
    ------
    InvalidInputError
        If the weights are others, or the content cannot be encoded.
    """
    from featurestore.failure import Failure
    from ingest.encoders.load import load_like

    loaded: Any = load_like(encoder, weights)
    (result,) = loaded.encode([content])
    if isinstance(result, Failure):
        raise InvalidInputError(f"{encoder.encoder_id} cannot encode {what}: {result.message}")
    vector: npt.NDArray[np.float32] = result.vector
    return vector
