"""The forms of the answers of the HTTP interface, as JSON Schema."""

from __future__ import annotations

from typing import Any

Form = dict[str, Any]

TEXT: Form = {"type": "string"}
WHOLE: Form = {"type": "integer"}
NUMBER: Form = {"type": "number"}
COUNTS: Form = {"type": "object", "additionalProperties": WHOLE}
ANY_OBJECT: Form = {"type": "object"}
# A number, or the name of a class.
VALUE: Form = {"type": ["number", "string"]}
PLACE: Form = {"type": "array", "items": NUMBER, "minItems": 3, "maxItems": 3}


def maybe(form: Form) -> Form:
    """That, or null."""
    return {"anyOf": [form, {"type": "null"}]}


def many(form: Form) -> Form:
    """A list of such."""
    return {"type": "array", "items": form}


def thing(**parts: Form) -> Form:
    """An object with these parts and no others."""
    return {
        "type": "object",
        "required": list(parts),
        "properties": parts,
        "additionalProperties": False,
    }


def table(**beside: Form) -> Form:
    """Rows with the types of their columns, which are Arrow's, and what is said beside them."""
    return thing(columns=many(thing(name=TEXT, type=TEXT)), rows=many(ANY_OBJECT), **beside)


STORE = thing(
    uri=TEXT,
    summary=many(thing(title=TEXT, lines=many(TEXT))),
    warnings=many(TEXT),
    tables=COUNTS,
)
FOUND = table(total=WHOLE, page=WHOLE, read_as=TEXT, condition=TEXT, notes=many(TEXT))

_PROPERTY = thing(name=TEXT, unit=TEXT, n=WHOLE, classes=many(TEXT))
FACETS = thing(
    systems=COUNTS,
    elements=COUNTS,
    properties=many(_PROPERTY),
    histogram=maybe(
        thing(
            property=_PROPERTY,
            n=WHOLE,
            edges=many(NUMBER),
            counts=many(WHOLE),
            below=WHOLE,
            above=WHOLE,
            problem=TEXT,
        )
    ),
)

_MATERIAL: dict[str, Form] = {
    "material_id": TEXT,
    "formula": TEXT,
    "cell": {"type": "array", "items": NUMBER, "minItems": 6, "maxItems": 6},
    "values": many(thing(property=TEXT, shown=VALUE, unit=TEXT, source=TEXT)),
    "predictions": many(
        thing(
            property=TEXT,
            unit=TEXT,
            model_id=TEXT,
            label=TEXT,
            seeds=WHOLE,
            shown=VALUE,
            lower=maybe(NUMBER),
            upper=maybe(NUMBER),
            fold=TEXT,
            target=maybe(VALUE),
            probability=maybe(NUMBER),
            class_set=maybe(many(TEXT)),
        )
    ),
    "texts": many(thing(source=TEXT, generator=TEXT, sentences=many(thing(tag=TEXT, text=TEXT)))),
    "same_structure": many(TEXT),
}
# The other columns of the table of materials come with it.
MATERIAL: Form = {"type": "object", "required": list(_MATERIAL), "properties": _MATERIAL}

SCENE = thing(
    formula=TEXT,
    cells=many(WHOLE),
    species=many(TEXT),
    positions=many(PLACE),
    bonds=many({"type": "array", "items": WHOLE, "minItems": 2, "maxItems": 2}),
    edges=many(many(PLACE)),
    view=many(PLACE),
    elements={
        "type": "object",
        "additionalProperties": thing(colour=TEXT, radius=NUMBER, name=TEXT),
    },
)
NEAR = thing(space=TEXT, kind=TEXT, rows=many(ANY_OBJECT), problem=TEXT)
MAP = table(axes=many(TEXT), limits=many(many(NUMBER)), label=TEXT)
BOARDS = thing(
    boards=many(
        thing(
            property=TEXT,
            split=TEXT,
            unit=TEXT,
            models=many(
                thing(
                    model_ids=many(TEXT),
                    features=TEXT,
                    predictor=TEXT,
                    error=maybe(NUMBER),
                    error_name=TEXT,
                    std=maybe(NUMBER),
                    materials=TEXT,
                    sizes=COUNTS,
                    coverage=maybe(NUMBER),
                    standing=TEXT,
                )
            ),
        )
    ),
    warnings=many(TEXT),
)
#: Refers to itself by its place in the document; see `explain.explore.openapi`.
LINEAGE = thing(
    kind=TEXT,
    name=TEXT,
    table=maybe(TEXT),
    facts=ANY_OBJECT,
    runs=many(ANY_OBJECT),
    inputs=many({"$ref": "#/components/schemas/Lineage"}),
)
LINEAGE_OF = {"$ref": "#/components/schemas/Lineage"}
RESULT = table(more={"type": "boolean"}, seconds=NUMBER, notes=many(TEXT))
VOCABULARY = thing(
    tables={"type": "object", "additionalProperties": many(TEXT)},
    macros={"type": "object", "additionalProperties": TEXT},
    names=many(TEXT),
)
