"""The materials nearest to one, with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from explain.explore.sessions import Source
from featurestore.catalogue import encoders, generators
from featurestore.classes import class_names, classes_of
from featurestore.errors import FeatureStoreError, MissingContentError
from featurestore.search.hits import Among
from featurestore.session import Session

_NEIGHBOURS = 6


@dataclass(frozen=True)
class Near:
    """The nearest materials in one space."""

    space: str
    kind: str
    rows: tuple[dict[str, Any], ...]
    problem: str = ""


def spaces(session: Session) -> list[tuple[str, str]]:
    """The encoders whose vectors neighbours are looked for among: (id, kind)."""
    standings = session.standings()
    return [
        (one.encoder_id, one.kind)
        for one in encoders(session)
        if standings.get(one.encoder_id) != "retired"
    ]


def neighbours(
    source: Source, material_id: str, encoder_id: str, kind: str, k: int = _NEIGHBOURS
) -> Near:
    """The nearest materials in one space, each with its formula and its values.

    Of a text encoder the texts of the first source that it has encoded for the material count.
    """
    sources: list[str | None] = [None]
    if kind == "text":
        sources = [one.source for one in generators(source.session)]
    problem = "the store has no texts"
    for text_source in dict.fromkeys(sources):
        try:
            hits = source.store.search.materials_like(
                material_id,
                kind,
                Among(k=k, without=material_id),
                encoders=[encoder_id],
                text_source=text_source,
            )
        except MissingContentError as error:
            problem = error.message
            continue
        except FeatureStoreError as error:
            problem = str(error)
            continue
        rows = hits.table.to_pylist()
        known = values_of(source.session, [row["material_id"] for row in rows])
        space = encoder_id if text_source is None else f"{encoder_id} of {text_source}"
        named = (row | {"values": known.get(row["material_id"], [])} for row in rows)
        return Near(space, kind, tuple(named))
    return Near(encoder_id, kind, (), problem)


def values_of(session: Session, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Property, source, value and unit of what is known of materials, by id; classes are named."""
    rows = session.query(
        "SELECT material_id, property, source, value, unit FROM properties "
        "WHERE list_contains(?, material_id) ORDER BY property, source",
        [list(ids)],
    ).to_pylist()
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        row["value"] = named(row["value"], row["unit"])
        row["unit"] = "" if classes_of(row["unit"]) else row["unit"]
        found.setdefault(row.pop("material_id"), []).append(row)
    return found


def named(value: float, unit: str) -> float | str:
    """A value, or the name of the class that it stands for."""
    return class_names([value], unit)[0] if classes_of(unit) else value
