"""Which stored sentences a text_id stands for: the search through generators and variants."""

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


@dataclass(frozen=True)
class Rendering:
    """A text as the store makes it: the sentences of a structure, in a variant."""

    structure_id: str
    generator_id: str
    variant: str


def find_rendering(session: Session, text_id: str) -> Rendering | None:
    """The first structure, generator and variant that render to the text; None if none do."""
    for generator, variant in _searched(generators(session)):
        rows = session.query(
            "SELECT structure_id FROM texts(?, variant := ?) WHERE text_id = ? "
            "ORDER BY structure_id LIMIT 1",
            [generator.generator_id, variant, text_id],
        )
        if rows.num_rows:
            return Rendering(rows["structure_id"][0].as_py(), generator.generator_id, variant)
    return None


def unrendered(session: Session, text_ids: pa.Array) -> pa.Array:
    """Those of the ids that no variant of any stored description renders to."""
    for generator, variant in _searched(generators(session)):
        if not len(text_ids):
            break
        rendered = session.query(
            "SELECT DISTINCT text_id FROM texts(?, variant := ?)",
            [generator.generator_id, variant],
        )["text_id"]
        text_ids = text_ids.filter(pc.invert(pc.is_in(text_ids, rendered.combine_chunks())))
    return text_ids


def _searched(known: Sequence[Generator]) -> Iterator[tuple[Generator, str]]:
    """Every variant of every generator, the usual ones before those of several tags."""
    for several in (False, True):
        for generator in known:
            for variant in _variants(generator, several):
                yield generator, variant


def _variants(generator: Generator, several: bool) -> Iterator[str]:
    if not several:
        yield "full"
    for tagger, tags in (("", generator.tags), ("reference:", generator.reference_tags)):
        sizes = range(2, min(len(tags), _MOST_TAGS) + 1) if several else range(1, 2)
        for size in sizes:
            for chosen in combinations(sorted(tags), size):
                yield f"without:{tagger}{','.join(chosen)}"
                yield f"only:{tagger}{','.join(chosen)}"
