"""What a request for a training view resolves to, and the SQL it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featurestore.catalogue import check_split, find_encoder, find_generator, find_property
from featurestore.errors import InvalidInputError
from featurestore.session import Session, quoted
from featurestore.texts.variants import FULL, parse_variant
from featurestore.views.request import FEATURES, GRAPH, ViewRequest


@dataclass(frozen=True)
class ViewParameters:
    """What a training view was asked for, with every name resolved to an id.

    ``generator_id``, ``text_encoder`` and ``structure_encoder`` are None where ``features`` does
    not need them; ``split`` None means all materials, without folds.
    """

    property: str
    property_source: str
    unit: str
    features: str
    generator_id: str | None
    structure_encoder: str | None
    text_encoder: str | None
    variant: str
    split: str | None

    def as_dict(self) -> dict[str, Any]:
        """The parameters as JSON values."""
        return dict(vars(self))


def resolve(session: Session, request: ViewRequest) -> ViewParameters:
    """Turn names into ids.

    Raises
    ------
    UnknownNameError
        With the nearest known names.
    InvalidInputError
        If something that ``features`` needs is not named, or a name is ambiguous.
    """
    r = request
    if r.features not in (*FEATURES, GRAPH):
        raise InvalidInputError(
            f"features must be one of {', '.join(FEATURES)}; got {r.features!r}"
        )
    source, unit = find_property(session, r.property, r.property_source)
    if r.split is not None:
        check_split(session, r.split, r.property)
    needed: dict[str, dict[str, str | None]] = {
        GRAPH: {},
        "structure": {"a structure encoder": r.structure_encoder},
        "text": {"a text source": r.text_source, "a text encoder": r.text_encoder},
    }
    for part in r.features.split("+"):
        for what, given in needed[part].items():
            if given is None:
                raise InvalidInputError(f"features {r.features!r} need {what}")
    generator, text, structure, variant = None, None, None, FULL
    if "structure" in r.features:
        assert r.structure_encoder is not None
        structure = find_encoder(session, r.structure_encoder, "structure").encoder_id
    if "text" in r.features:
        assert r.text_source is not None and r.text_encoder is not None
        found = find_generator(session, r.text_source)
        variant = parse_variant(r.variant, found.tags, found.reference_tags)
        generator = found.generator_id
        text = find_encoder(session, r.text_encoder, "text").encoder_id
    return ViewParameters(
        r.property, source, unit, r.features, generator, structure, text, str(variant), r.split
    )


def view_sql(parameters: ViewParameters) -> str:
    """The query for the rows of a view, without its vectors."""
    p = parameters
    split = quoted(p.split) if p.split is not None else "NULL"
    targets = (
        f"targets({quoted(p.property)}, split := {split}, "
        f"property_source := {quoted(p.property_source)})"
    )
    lines = ["FROM " + targets + " t"]
    columns = ["t.material_id", "t.structure_id"]
    if p.generator_id is not None:
        variant = f"{quoted(p.generator_id)}, variant := {quoted(p.variant)}"
        lines.append(f"JOIN texts({variant}) x ON x.structure_id = t.structure_id")
        lines.append(f"JOIN text_embeddings__{p.text_encoder} e ON e.text_id = x.text_id")
        columns += ["x.text_id", "t.fold", "t.target", "e.n_tokens", "e.truncated"]
    else:
        columns += ["NULL::VARCHAR AS text_id", "t.fold", "t.target"]
        columns += ["NULL::INTEGER AS n_tokens", "NULL::BOOLEAN AS truncated"]
    if p.structure_encoder is not None:
        lines.append(
            f"JOIN structure_embeddings__{p.structure_encoder} s ON s.structure_id = t.structure_id"
        )
    return "\n".join([f"SELECT {', '.join(columns)}", *lines, "ORDER BY t.material_id"])
