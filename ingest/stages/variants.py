"""The variants that a command asks for: shorthands written out, and their texts rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from featurestore.catalogue import Generator
from featurestore.errors import InvalidInputError
from featurestore.renderings import render
from featurestore.session import Session
from featurestore.variants import UNITS, Variant, parse_variant, subsets

_EACH_TAG = re.compile(
    r"(?P<start>(?:without|only|mask):(?:(?:random|random-words):[^:]*:)?)"
    r"(?P<reference>reference:)?each"
)
_SUBSETS = re.compile(r"(?P<rule>without|only|mask):(?P<reference>reference:)?subsets")
_EACH_UNIT = re.compile(r"(?:(?P<rule>without|only|mask):)?(?P<unit>sentence|word):each")


def expand_variants(variants: Sequence[str], generator: Generator) -> list[str]:
    """Canonical variants, with what stands for several of them written out.

    ``RULE:each`` is one variant for each tag, also ``RULE:random:SEED:each`` and
    ``RULE:random-words:SEED:each``; ``RULE:subsets`` one for each set of tags, none and all
    included. ``reference:`` before the last word takes the overlapping tags.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If a variant has another form or an unknown tag.
    """
    expanded: list[str] = []
    for variant in variants:
        if match := _EACH_TAG.fullmatch(variant):
            start = match["start"] + (match["reference"] or "")
            expanded += [f"{start}{tag}" for tag in _tags(generator, match)]
        elif match := _SUBSETS.fullmatch(variant):
            for chosen in subsets(_tags(generator, match)):
                expanded.append(_of_subset(match["rule"], chosen, match, generator))
        else:
            expanded.append(variant)
    parsed = (parse_variant(text, generator.tags, generator.reference_tags) for text in expanded)
    return list(dict.fromkeys(map(str, parsed)))


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
    for variant in expanded:
        ids = list(described)
        yield from render(session, generator.generator_id, ids, [variant] * len(ids))
    for match in units:
        pairs = [
            (structure_id, str(Variant(rule, unit=match["unit"], numbers=(number,))))
            for rule in ([match["rule"]] if match["rule"] else ["without", "mask"])
            for structure_id, lengths in described.items()
            for number in range(lengths[match["unit"]])
        ]
        columns = [list(column) for column in zip(*pairs, strict=True)] or [[], []]
        yield from render(session, generator.generator_id, *columns)


def _of_subset(
    rule: str, chosen: tuple[str, ...], match: re.Match[str], generator: Generator
) -> str:
    """The variant of a rule and a set of tags, also of none."""
    reference = match["reference"] or ""
    if chosen:
        return f"{rule}:{reference}{','.join(chosen)}"
    if rule == "only":
        # Every sentence has one of the store's tags: nothing is kept.
        return f"without:{','.join(generator.tags)}"
    return "full"


def _tags(generator: Generator, match: re.Match[str]) -> tuple[str, ...]:
    return generator.reference_tags if match["reference"] else generator.tags


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
