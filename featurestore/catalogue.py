"""What the store knows by name: its encoders, generators, properties and splits."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.property_rules import (
    PropertyRule,
    check_united,
    is_rule,
    property_rules,
    rule_in_force,
)
from featurestore.renames import MATERIAL, PROPERTY, SPLIT, renamed_hint
from featurestore.session import QueryError, Session
from featurestore.session_tables import PROMOTED, RETIRED, Version, by_standing
from featurestore.splits import families

#: What stands as ``part`` in the fingerprint of vectors that no encoder here has made.
OWN_VECTORS = "vectors from a file"


@dataclass(frozen=True)
class Encoder:
    """A registered encoder; ``segments`` are (name, start, stop) slices of its vectors."""

    encoder_id: str
    name: str
    kind: str
    dimension: int
    segments: tuple[tuple[str, int, int], ...]
    fingerprint: dict[str, Any]

    @property
    def from_file(self) -> bool:
        """Whether its vectors were read from a user's file: it cannot encode anything new."""
        return self.fingerprint.get("part") == OWN_VECTORS


@dataclass(frozen=True)
class Generator:
    """A registered text generator and the tags its sentences can have."""

    generator_id: str
    source: str
    tags: tuple[str, ...]
    reference_tags: tuple[str, ...]

    def tags_of(self, *, reference: bool) -> tuple[str, ...]:
        """The store's tags, or those of the second tagger, whose rules may overlap.

        Raises
        ------
        InvalidInputError
            If there is no second tagger.
        """
        if reference and not self.reference_tags:
            raise InvalidInputError(
                f"the sentences of {self.generator_id} have no reference tags, only: "
                f"{', '.join(self.tags)}"
            )
        return self.reference_tags if reference else self.tags


def encoders(session: Session, kind: str | None = None) -> list[Encoder]:
    """All registered encoders, or those of the kind "structure" or "text", by id."""
    rows = session.query("FROM encoders ORDER BY encoder_id").to_pylist()
    return [
        Encoder(
            encoder_id=row["encoder_id"],
            name=row["name"],
            kind=row["kind"],
            dimension=row["dimension"],
            segments=tuple((part["name"], part["start"], part["stop"]) for part in row["segments"]),
            fingerprint=json.loads(row["fingerprint"]),
        )
        for row in rows
        if kind in (None, row["kind"])
    ]


def generators(session: Session) -> list[Generator]:
    """All registered text generators, by id."""
    rows = session.query("FROM generators ORDER BY generator_id").to_pylist()
    return [
        Generator(
            row["generator_id"], row["source"], tuple(row["tags"]), tuple(row["reference_tags"])
        )
        for row in rows
    ]


def find_encoder(session: Session, name: str, kind: str) -> Encoder:
    """The encoder with this id, or the only one with this name.

    Raises
    ------
    UnknownNameError
        If there is none of the kind "structure" or "text".
    InvalidInputError
        If several versions share the name: they are never mixed or chosen between silently.
    """
    known = encoders(session, kind)
    found = [encoder for encoder in known if name == encoder.encoder_id]
    if not found:
        named = [encoder for encoder in known if name == encoder.name]
        found = _by_name(session, f"{kind} encoder", name, named, [e.encoder_id for e in named])
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(encoder.encoder_id for encoder in found)
        raise InvalidInputError(f"{kind} encoder {name!r} has several versions, name one of: {ids}")
    names = {encoder.name for encoder in known} | {encoder.encoder_id for encoder in known}
    raise UnknownNameError(
        f"{kind} encoder", name, names, "(make vectors with: featurestore ingest embeddings)"
    )


def find_generator(session: Session, name: str) -> Generator:
    """The generator with this id, or the only one of this text source.

    Raises
    ------
    UnknownNameError
        If there is none.
    InvalidInputError
        If the text source has several generator versions.
    """
    known = generators(session)
    found = [generator for generator in known if name == generator.generator_id]
    if not found:
        named = [generator for generator in known if name == generator.source]
        found = _by_name(session, "text source", name, named, [g.generator_id for g in named])
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(generator.generator_id for generator in found)
        raise InvalidInputError(
            f"text source {name!r} has several generator versions, name one of: {ids}"
        )
    names = {generator.source for generator in known}
    raise UnknownNameError(
        "text source", name, names, "(make texts with: featurestore ingest text)"
    )


def _by_name(
    session: Session, what: str, name: str, named: list[Version], ids: list[str]
) -> list[Version]:
    """The versions that a name stands for; a retired one is found by its id alone."""
    standings = session.standings()
    found = by_standing(named, [standings.get(one) for one in ids])
    if named and not found:
        raise InvalidInputError(f"{what} {name!r} is retired; name its id: {', '.join(ids)}")
    return found


def stored_properties(session: Session, name: str) -> list[dict[str, str]]:
    """The distinct (source, unit) of a property's values in the store.

    Raises
    ------
    UnknownNameError
        If no material has it.
    """
    rows = session.query(
        "SELECT DISTINCT source, unit FROM properties WHERE property = ? ORDER BY ALL", [name]
    ).to_pylist()
    if not rows:
        known = session.query("SELECT DISTINCT property FROM properties")["property"].to_pylist()
        raise UnknownNameError("property", name, known, renamed_hint(session, PROPERTY, name))
    return list(rows)


def find_property(session: Session, name: str, source: str | None = None) -> tuple[str, str]:
    """Source and unit of a stored property; where a rule is in force, the rule is its source.

    Raises
    ------
    UnknownNameError
        If no material has it.
    InvalidInputError
        If it comes from several sources, none is chosen and no rule takes them together: they are
        never mixed silently; or if sources that are united disagree or have several units.
    """
    rows = stored_properties(session, name)
    rule = rule_in_force(session, name) if source is None else None
    if source is not None and is_rule(source):
        rule = next((one for one in property_rules(session, name) if one.text == source), None)
    if rule is not None:
        return rule.text, _unit_of_rule(session, rule, rows)
    if source is not None:
        rows = [row for row in rows if row["source"] == source] or rows
    if len(rows) > 1 or (source is not None and rows[0]["source"] != source):
        sources = ", ".join(f"{row['source']!r} ({row['unit']})" for row in rows)
        raise InvalidInputError(
            f"property {name!r} comes from several sources; choose one with --property-source: "
            f"{sources}; or say how they are taken together with featurestore properties unite or "
            "prefer"
        )
    return rows[0]["source"], rows[0]["unit"]


def _unit_of_rule(session: Session, rule: PropertyRule, rows: list[dict[str, str]]) -> str:
    """The one unit of the sources that a rule takes together."""
    units = {row["unit"] for row in rows if row["source"] in rule.sources}
    if not units:
        raise InvalidInputError(
            f"none of the sources of {rule.text} has a value of property {rule.property!r}; it "
            f"comes from {', '.join(row['source'] for row in rows)}"
        )
    if len(units) > 1:
        raise InvalidInputError(
            f"the sources of {rule.text} have property {rule.property!r} in several units, "
            f"{', '.join(sorted(units))}: values in different units are not one property"
        )
    check_united(session, rule)
    return units.pop()


def check_split(session: Session, split: str, name: str) -> None:
    """Raise unless the split has folds for the property.

    Raises
    ------
    UnknownNameError
        If there is no split of that name.
    InvalidInputError
        If it is the name of several splits, as of a cross-validation.
    MissingDataError
        If the split exists, but not for this property.
    """
    rows = session.query("SELECT DISTINCT split, property FROM splits").to_pylist()
    if split not in {row["split"] for row in rows}:
        of_it = [names for (of, _), names in families(session).items() if of == split]
        if of_it:
            raise InvalidInputError(
                f"{split!r} is {len(of_it[0])} splits; name one of its splits: "
                f"{', '.join(of_it[0])}; or train on all with: featurestore train cross-validate"
            )
        raise UnknownNameError(
            "split",
            split,
            {row["split"] for row in rows},
            renamed_hint(session, SPLIT, split) or "(make one with: featurestore ingest splits)",
        )
    covered = {row["property"] for row in rows if row["split"] == split}
    if not covered & {name, "*"}:
        raise MissingDataError(
            f"split {split!r} has no folds for property {name!r}, only for "
            f"{', '.join(sorted(covered))}"
        )


def structures_of(session: Session, material_ids: Collection[str]) -> dict[str, str]:
    """The structure_id of each of the materials that is stored, in no particular order."""
    rows = session.query(
        "SELECT material_id, structure_id FROM materials WHERE material_id IN "
        "(SELECT unnest(?::VARCHAR[]))",
        [list(material_ids)],
    ).to_pylist()
    return {row["material_id"]: row["structure_id"] for row in rows}


def structure_of(session: Session, material_id: str) -> str:
    """The structure_id of a stored material.

    Raises
    ------
    UnknownNameError
        With the nearest ids; for a formula with the materials that have it.
    """
    found = session.query("SELECT structure_id FROM materials WHERE material_id = ?", [material_id])
    if found.num_rows:
        return str(found["structure_id"][0].as_py())
    near = session.query(
        "SELECT material_id FROM materials ORDER BY levenshtein(material_id, ?), material_id "
        "LIMIT 10",
        [material_id],
    )
    raise UnknownNameError(
        "material",
        material_id,
        near["material_id"].to_pylist(),
        renamed_hint(session, MATERIAL, material_id) or _of_formula(session, material_id),
    )


def _of_formula(session: Session, text: str) -> str:
    """A hint that names the materials of a formula; empty if it is none, or nobody's."""
    try:
        found = session.query(
            "SELECT formula, material_id FROM materials WHERE formula = formula(?) "
            "ORDER BY material_id LIMIT 6",
            [text],
        ).to_pylist()
    except QueryError:
        return ""
    if not found:
        return ""
    ids = [row["material_id"] for row in found]
    more = " …" if len(ids) > 5 else ""
    return f"(of the formula {found[0]['formula']} there are: {', '.join(ids[:5])}{more})"


def choose_encoder(session: Session, name: str | None, kind: str) -> Encoder:
    """The encoder of that name or id; for None the only one of the kind in use.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    MissingDataError
        If none is named and the store has none.
    InvalidInputError
        If none is named and there are several, or a name has several versions.
    """
    if name is not None:
        return find_encoder(session, name, kind)
    standings = session.standings()
    used = [e for e in encoders(session, kind) if standings.get(e.encoder_id) != RETIRED]
    promoted = [e for e in used if standings.get(e.encoder_id) == PROMOTED]
    used = promoted if len(promoted) == 1 else used
    if len(used) == 1:
        return used[0]
    if used:
        ids = ", ".join(encoder.encoder_id for encoder in used)
        raise InvalidInputError(f"there are several {kind} encoders, name one of: {ids}")
    source = "" if kind == "structure" else " --text SOURCE"
    raise MissingDataError(
        f"the store has no vectors of {kind}s; make some with: featurestore ingest embeddings "
        f"--encoder NAME{source}"
    )


def versions_of(session: Session) -> dict[str, tuple[str, str]]:
    """The kind and name of every encoder and generator, by id."""
    found = {e.encoder_id: (f"{e.kind} encoder", e.name) for e in encoders(session)}
    return found | {g.generator_id: ("generator", g.source) for g in generators(session)}


def find_model_id(session: Session, name: str) -> str:
    """The id of the model that is named by it or by its beginning.

    Raises
    ------
    UnknownNameError
        If there is none.
    InvalidInputError
        If several ids start so.
    """
    known = session.query("SELECT model_id FROM models ORDER BY ALL")["model_id"].to_pylist()
    found = (
        [name] if name in known else [known_id for known_id in known if known_id.startswith(name)]
    )
    if len(found) > 1:
        raise InvalidInputError(f"several models' ids start with {name!r}: {', '.join(found)}")
    if not found:
        raise UnknownNameError("model", name, known, "(see: featurestore train list)")
    return str(found[0])
