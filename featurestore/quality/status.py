"""What a store lacks since new data came: texts, vectors, folds, and choices of the user's."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from featurestore.catalogue import encoders, find_encoder, find_generator
from featurestore.commands import Command, encoding_command, extending_command
from featurestore.property_overview import property_overview
from featurestore.property_rules import UNITE, rule_in_force
from featurestore.quality.coverage import coverage
from featurestore.session import Session
from featurestore.splits import (
    ALL_PROPERTIES,
    EXTENDABLE,
    LEFT_OUT,
    SAMPLED,
    families,
    split_rule,
)

TEXT, VECTORS, SPLITS, MODELS, CHOICES = "text", "vectors", "splits", "models", "choices"
#: What an update makes, in this order.
LEVELS = (TEXT, VECTORS, SPLITS, MODELS)


@dataclass(frozen=True)
class Lack:
    """Something that is lacking.

    Parameters
    ----------
    level : str
        "text", "vectors", "splits" or "models"; "choices" for what only the user can decide.
    name : str
        The generator, encoder, split, model or property.
    n : int
        How many things.
    what : str
        What is lacking, in words, after the number.
    command : tuple of str or None
        What makes it; None where there is no such command.
    """

    level: str
    name: str
    n: int
    what: str
    command: Command | None

    def __str__(self) -> str:
        return f"{self.name}: {self.n:,} {self.what}"


def lacking(session: Session) -> list[Lack]:
    """What is lacking, but for models.

    What has been tried and failed is not lacking: see ``featurestore coverage``. Only texts and
    vectors of versions in use count, those of which the store has some.
    """
    return [*_texts_and_vectors(session), *_variants(session), *_folds(session), *_choices(session)]


def _texts_and_vectors(session: Session) -> Iterator[Lack]:
    rows = coverage(session).to_pylist()
    untold = {row["name"]: row["failed"] for row in rows if row["kind"] == "text"}
    from_file = {one.encoder_id for one in encoders(session) if one.from_file}
    levels = {"text": TEXT, "structure embedding": VECTORS, "text embedding": VECTORS}
    for row in rows:
        if row["kind"] not in levels or not row["have"]:
            continue
        # what cannot be described cannot be encoded either
        without_text = untold.get(row["name"].partition(" of ")[2], 0)
        n = row["lack"] - row["failed"] - without_text
        if n <= 0:
            continue
        what = "text" if row["kind"] == "text" else f"vector of their {row['kind'].split()[0]}"
        if row["name"] in from_file:
            what += ", and a file with more vectors is another version of the encoder"
            yield Lack(
                level=CHOICES,
                name=row["name"],
                n=n,
                what=f"materials without a {what}",
                command=None,
            )
        else:
            yield Lack(
                level=levels[row["kind"]],
                name=row["name"],
                n=n,
                what=f"materials without a {what}",
                command=tuple(shlex.split(row["fill"])),
            )


def _variants(session: Session) -> Iterator[Lack]:
    """Variants by tags that an encoder has read of some texts and not of others."""
    rows = session.query(
        "SELECT r.generator_id, k.encoder_id, list(DISTINCT r.variant ORDER BY r.variant) AS used "
        "FROM renderings r JOIN text_embedding_keys k USING (text_id) WHERE NOT "
        "regexp_matches(r.variant, '^[a-z]+:(sentence|word|random|random-words):') "
        "GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    for row in rows:
        missing = {
            variant: session.query(
                "SELECT count(*) AS n FROM texts(?, variant := ?) WHERE text_id NOT IN "
                "(SELECT text_id FROM text_embedding_keys WHERE encoder_id = ?) AND text_id NOT IN "
                "(SELECT item FROM failures WHERE stage = 'embeddings' AND context = ?)",
                [row["generator_id"], variant, row["encoder_id"], row["encoder_id"]],
            )["n"][0].as_py()
            for variant in row["used"]
        }
        wanted = {variant: n for variant, n in missing.items() if n}
        if wanted:
            encoder = find_encoder(session, row["encoder_id"], "text")
            source = find_generator(session, row["generator_id"]).source
            yield Lack(
                level=VECTORS,
                name=f"{row['encoder_id']} of {row['generator_id']}",
                n=sum(wanted.values()),
                what=f"texts without a vector, in {len(wanted)} variants",
                command=encoding_command(session, encoder, source, wanted),
            )


def _folds(session: Session) -> Iterator[Lack]:
    of = {one: name for (name, _), members in families(session).items() for one in members}
    seen: set[tuple[str, str]] = set()
    rows = session.query("SELECT DISTINCT split, property FROM splits ORDER BY ALL").to_pylist()
    for row in rows:
        split, key = row["split"], row["property"]
        name = of.get(split, split)
        rule = split_rule(session, split, key)
        if (name, key) in seen or rule["way"] in (SAMPLED, LEFT_OUT):
            continue
        seen.add((name, key))
        n = session.query(
            "SELECT count(*) AS n FROM materials WHERE material_id NOT IN "
            "(SELECT material_id FROM splits WHERE split = ?1 AND property = ?2) AND (?2 = ?3 OR "
            "material_id IN (SELECT material_id FROM properties WHERE property = ?2)) AND "
            "material_id NOT IN (SELECT item FROM failures WHERE stage = 'splits' "
            "AND context = ?1 || ' ' || ?2)",
            [split, key, ALL_PROPERTIES],
        )["n"][0].as_py()
        of_it = "" if key == ALL_PROPERTIES else f" with {key}"
        if n and rule["way"] in EXTENDABLE:
            what = f"materials{of_it} without a fold"
            yield Lack(
                level=SPLITS, name=name, n=n, what=what, command=extending_command(name, key)
            )
        elif n:
            what = f"materials{of_it} without a fold, and the split has no rule for them: "
            what += f"extend it with --extend {name} --random"
            yield Lack(level=CHOICES, name=name, n=n, what=what, command=None)


def _choices(session: Session) -> Iterator[Lack]:
    rows = property_overview(session).to_pylist()
    sources: dict[str, list[str]] = {}
    for row in rows:
        sources.setdefault(row["property"], []).append(row["source"])
        if row["rule"] == "not in the rule":
            what = f"values of source {row['source']!r}, which its rule leaves out"
            yield Lack(
                level=CHOICES, name=row["property"], n=row["values"], what=what, command=None
            )
    differing = {row["property"]: row["conflicts"] for row in rows if row["conflicts"] is not None}
    for name, found in sources.items():
        rule = rule_in_force(session, name)
        # where one source is preferred, what they disagree in is settled
        if rule is not None and rule.way == UNITE and differing[name]:
            what = "materials for which its sources disagree: featurestore properties conflicts "
            what += name
            yield Lack(level=CHOICES, name=name, n=differing[name], what=what, command=None)
        elif rule is None and len(found) > 1:
            what = "sources and no rule: featurestore properties unite or prefer"
            yield Lack(level=CHOICES, name=name, n=len(found), what=what, command=None)
