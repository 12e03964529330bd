"""Which stored sentences a text_id stands for, and the texts of single structures in any variant.

There is no end of variants (every word, every random draw), so that no search through them could
find every text. Ingestion records in ``renderings`` one structure and variant for each text that is
no full text; whether they still render to it is one query, in proportion to the number of texts.
Stores that were written before there was this table have variants of tags alone, which are few
enough to search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Generator, generators
from featurestore.session import Session

# A source has six tags or fewer; beyond this the subsets would not end.
_MOST_TAGS = 8

_TEXTS_A_QUERY = 20_000


@dataclass(frozen=True)
class Rendering:
    """A text as the store makes it: the sentences of a structure, in a variant."""

    structure_id: str
    generator_id: str
    variant: str


def render(
    session: Session, generator_id: str, structure_ids: Sequence[str], variants: Sequence[str]
) -> Iterator[pa.Table]:
    """The texts of structures, each in a variant of its own.

    Parameters
    ----------
    session : Session
        Where the sentences are.
    generator_id : str
        Whose sentences.
    structure_ids, variants : sequence of str
        Of one length; the variants in canonical form, as `parse_variant` makes them.

    Yields
    ------
    pyarrow.Table
        Columns structure_id, variant, text_id, text; some thousand rows at a time. A structure that
        the generator has not described, or whose text lacks a sentence or word that its variant
        names, has no row.
    """
    for first in range(0, len(structure_ids), _TEXTS_A_QUERY):
        last = first + _TEXTS_A_QUERY
        yield session.query(
            "SELECT structure_id, variant, text_id, text FROM texts_of(?, ?, ?) ORDER BY ALL",
            [generator_id, list(structure_ids[first:last]), list(variants[first:last])],
        )


def find_rendering(session: Session, text_id: str) -> Rendering | None:
    """A structure, generator and variant that render to the text; None if none is known to."""
    known = generators(session)
    for generator in known:
        if found := _full(session, generator, text_id):
            return found
    recorded = session.query(
        "SELECT structure_id, generator_id, variant FROM renderings WHERE text_id = ?", [text_id]
    ).to_pylist()
    for row in recorded:
        for table in render(session, row["generator_id"], [row["structure_id"]], [row["variant"]]):
            if text_id in table["text_id"].to_pylist():
                return Rendering(**row)
    for generator, variants, texts in _searched(session, known):
        found = texts.filter(pc.equal(texts["text_id"], text_id)).to_pylist()
        if found:
            first = min(
                found, key=lambda row: (variants.index(row["variant"]), row["structure_id"])
            )
            return Rendering(first["structure_id"], generator.generator_id, first["variant"])
    return None


def unrendered(session: Session, text_ids: pa.Array) -> pa.Array:
    """Those of the ids that no variant of any stored description is known to render to."""
    known = generators(session)
    for generator in known:
        text_ids = _others(text_ids, _full_texts(session, generator))
    for generator in known:
        recorded = session.query(
            "SELECT structure_id, variant FROM renderings WHERE generator_id = ? ORDER BY ALL",
            [generator.generator_id],
        )
        columns = (recorded[name].to_pylist() for name in ("structure_id", "variant"))
        for table in render(session, generator.generator_id, *columns):
            text_ids = _others(text_ids, table["text_id"])
    if len(text_ids):
        for _, _, texts in _searched(session, known):
            text_ids = _others(text_ids, texts["text_id"])
            if not len(text_ids):
                break
    return text_ids


def _full(session: Session, generator: Generator, text_id: str) -> Rendering | None:
    rows = session.query(
        "SELECT structure_id FROM texts(?) WHERE text_id = ? ORDER BY structure_id LIMIT 1",
        [generator.generator_id, text_id],
    )
    if not rows.num_rows:
        return None
    return Rendering(rows["structure_id"][0].as_py(), generator.generator_id, "full")


def _full_texts(session: Session, generator: Generator) -> pa.ChunkedArray:
    return session.query("SELECT DISTINCT text_id FROM texts(?)", [generator.generator_id])[
        "text_id"
    ]


def _others(text_ids: pa.Array, rendered: pa.ChunkedArray) -> pa.Array:
    return text_ids.filter(pc.invert(pc.is_in(text_ids, rendered.combine_chunks())))


def _searched(
    session: Session, known: Sequence[Generator]
) -> Iterator[tuple[Generator, list[str], pa.Table]]:
    """Texts in variants of tags, of every generator, those of one tag before those of several.

    A query renders many variants, for a store of few texts spends its time on their number.
    """
    described_by = {
        generator.generator_id: session.query(
            "SELECT DISTINCT structure_id FROM sentences WHERE generator_id = ? ORDER BY ALL",
            [generator.generator_id],
        )["structure_id"].to_pylist()
        for generator in known
    }
    for several in (False, True):
        for generator in known:
            described = described_by[generator.generator_id]
            if not described:
                continue
            variants = list(_variants(generator, several))
            at_once = max(1, _TEXTS_A_QUERY // len(described))
            for first in range(0, len(variants), at_once):
                part = variants[first : first + at_once]
                each = [variant for variant in part for _ in described]
                for texts in render(session, generator.generator_id, described * len(part), each):
                    yield generator, part, texts


def _variants(generator: Generator, several: bool) -> Iterator[str]:
    for tagger, tags in (("", generator.tags), ("reference:", generator.reference_tags)):
        sizes = range(2, min(len(tags), _MOST_TAGS) + 1) if several else range(1, 2)
        for size in sizes:
            for chosen in combinations(sorted(tags), size):
                yield f"without:{tagger}{','.join(chosen)}"
                yield f"only:{tagger}{','.join(chosen)}"
