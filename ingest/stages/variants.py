"""The variants that a command asks for: shorthands written out, and their texts rendered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from featurestore.catalogue import Generator
from featurestore.errors import InvalidInputError
from featurestore.session import Session
from featurestore.texts.renderings import render
from featurestore.texts.shorthands import _EACH_UNIT, expand_variants
from featurestore.texts.variants import UNITS, Variant, parse_variant


def read_variants_file(path: Path) -> list[str]:
    """The variants in a file, a line each; empty lines and those that start with # do not count.

    Raises
    ------
    InvalidInputError
        If the file cannot be read or names no variant.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error
    variants = [line for line in lines if line and not line.startswith("#")]
    if not variants:
        raise InvalidInputError(f"{path} names no variant; write one on each line")
    return variants


def texts_asked_for(
    session: Session,
    generator: Generator,
    structure_ids: Sequence[str],
    variants: Sequence[str],
) -> Iterator[pa.Table]:
    """The texts of all structures in all variants, shorthands included.

    Beside those of `expand_variants`, ``sentence:each`` and ``word:each`` stand for the deletion
    and the masking of every single one in each text; a rule before them for that rule alone.

    Yields
    ------
    pyarrow.Table
        Columns structure_id, variant, text_id, text. Structures without a description are absent.

    Raises
    ------
    InvalidInputError
        If a variant has another form, or names a sentence or word that a text does not have.
    UnknownNameError
        If a variant names an unknown tag.
    """
    units = [match for variant in variants if (match := _EACH_UNIT.fullmatch(variant))]
    others = [variant for variant in variants if not _EACH_UNIT.fullmatch(variant)]
    expanded = expand_variants(others, generator)
    described = _lengths(session, generator, structure_ids)
    for variant in expanded:
        _check_range(parse_variant(variant, generator.tags, generator.reference_tags), described)
    pairs = [(structure_id, variant) for variant in expanded for structure_id in described]
    yield from _rendered(session, generator, pairs)
    for match in units:
        pairs = [
            (structure_id, str(Variant(rule, unit=match["unit"], numbers=(number,))))
            for rule in ([match["rule"]] if match["rule"] else ["without", "mask"])
            for structure_id, lengths in described.items()
            for number in range(lengths[match["unit"]])
        ]
        yield from _rendered(session, generator, pairs)


def _rendered(
    session: Session, generator: Generator, pairs: Sequence[tuple[str, str]]
) -> Iterator[pa.Table]:
    """As `render`, for pairs of structure and variant: few queries, however many the variants."""
    columns = [list(column) for column in zip(*pairs, strict=True)] or [[], []]
    return render(session, generator.generator_id, *columns)


def _lengths(
    session: Session, generator: Generator, structure_ids: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many sentences and words each described structure's text has, in order of the id."""
    rows = session.query(
        "SELECT structure_id, count(*) AS sentence, sum(len(words_of(sentence))) AS word "
        "FROM sentences WHERE generator_id = ? AND structure_id IN (SELECT unnest(?)) "
        "GROUP BY structure_id ORDER BY structure_id",
        [generator.generator_id, list(structure_ids)],
    ).to_pylist()
    return {row["structure_id"]: {unit: int(row[unit]) for unit in UNITS} for row in rows}


def _check_range(variant: Variant, described: dict[str, dict[str, int]]) -> None:
    if variant.unit not in UNITS:
        return
    highest = max(variant.numbers)
    short = [name for name, lengths in described.items() if lengths[variant.unit] <= highest]
    if short:
        has = described[short[0]][variant.unit]
        raise InvalidInputError(
            f"variant {str(variant)!r}: the text of structure {short[0]} has {has} "
            f"{variant.unit}s, numbered 0 to {has - 1}"
            + (f" (and {len(short) - 1} more texts are too short)" if len(short) > 1 else "")
            + "; choose single materials with --material"
        )
