"""The HTTP interface: its addresses, what they take and what they answer with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from explain.explore import answers, forms, overview
from explain.explore.answers import Handler
from explain.explore.finding import READINGS


@dataclass(frozen=True)
class Parameter:
    """A parameter of an address; ``schema`` is JSON Schema."""

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True)
class Endpoint:
    """An address of the interface.

    Parameters
    ----------
    path : str
        Below ``/api``.
    summary : str
        What it answers with.
    handler : callable
        Makes the answer.
    parameters : tuple of Parameter
        What it takes.
    tabular : bool
        Whether the answer comes in every format of `replies.MEDIA_TYPES`.
    media : str
        What it is otherwise.
    form : dict
        JSON Schema of the answer in JSON.
    """

    path: str
    summary: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    tabular: bool = False
    media: str = "application/json"
    form: dict[str, Any] = field(default_factory=forms.table)


_MANY = {"type": "array", "items": {"type": "string"}}
_WHOLE = {"type": "integer", "minimum": 1}
ID = Parameter("id", "Id of the material.", required=True)
MODEL = Parameter("id", "Id of the model, or its beginning.", required=True)
FINDING = (
    Parameter("q", "An id, formula, elements, words or SQL condition."),
    Parameter("as", "How q is read.", {"type": "string", "enum": list(READINGS)}),
    Parameter("text", "Text source in which words are looked for."),
    Parameter("system", "Crystal system; repeatable.", _MANY),
    Parameter("element", "Element that takes part; repeatable.", _MANY),
    Parameter("without", "Element that takes no part; repeatable.", _MANY),
    Parameter("range", "PROPERTY:LEAST:GREATEST, either end may be empty; repeatable.", _MANY),
    Parameter("class", "PROPERTY:CLASS; repeatable.", _MANY),
)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "/store", "What the store holds, at a glance.", answers.store_answer, form=forms.STORE
    ),
    Endpoint(
        "/find",
        "Materials that are looked for; JSON has a page, the other formats all.",
        answers.find_answer,
        (
            *FINDING,
            Parameter("col", "Column or property to give; repeatable.", _MANY),
            Parameter("sort", "Column of the order, after a minus the largest first."),
            Parameter("page", "Page, from 1.", _WHOLE),
            Parameter("most", "Rows at most.", _WHOLE),
        ),
        tabular=True,
        form=forms.FOUND,
    ),
    Endpoint(
        "/facets",
        "Counts of what is looked for by crystal system, element and value.",
        answers.facets_answer,
        (*FINDING, Parameter("histogram", "Property whose values are counted.")),
        form=forms.FACETS,
    ),
    Endpoint(
        "/rows",
        "Some materials by id.",
        answers.rows_answer,
        (Parameter("id", "Ids.", _MANY, True),),
        True,
    ),
    Endpoint(
        "/material",
        "Everything of one material.",
        answers.material_answer,
        (ID,),
        form=forms.MATERIAL,
    ),
    Endpoint(
        "/material/scene",
        "Atoms, bonds and cell of a material, to be drawn.",
        answers.scene_answer,
        (ID, *(Parameter(name, f"Cells along {name}.", _WHOLE) for name in "abc")),
        form=forms.SCENE,
    ),
    Endpoint(
        "/material/drawing",
        "A flat drawing of its cell.",
        answers.drawing_answer,
        (ID,),
        media="image/svg+xml",
    ),
    Endpoint(
        "/material/structure",
        "Its structure as a file.",
        answers.structure_answer,
        (ID, Parameter("format", "cif or poscar.")),
        media="chemical/x-cif",
    ),
    Endpoint(
        "/material/neighbours",
        "The nearest materials in an encoder's space.",
        answers.neighbours_answer,
        (
            ID,
            Parameter("encoder", "Id of the encoder.", required=True),
            Parameter("k", "How many.", _WHOLE),
        ),
        form=forms.NEAR,
    ),
    Endpoint(
        "/map",
        "A space in two dimensions; format=packed is the page's own.",
        answers.map_answer,
        (
            Parameter("encoder", "Id of the encoder.", required=True),
            Parameter("method", "pca, tsne or umap."),
            Parameter("text", "Text source, of a text encoder."),
            Parameter("colour", "What the points are coloured by."),
        ),
        tabular=True,
        form=forms.MAP,
    ),
    Endpoint("/models", "Leaderboards.", answers.models_answer, form=forms.BOARDS),
    Endpoint(
        "/model/points",
        "Targets and predictions of a model.",
        answers.points_answer,
        (MODEL, Parameter("fold", "train, val or test; all without.")),
        tabular=True,
    ),
    Endpoint(
        "/model/lineage",
        "What a model was made from.",
        answers.lineage_answer,
        (MODEL,),
        form=forms.LINEAGE_OF,
    ),
    Endpoint(
        "/sql",
        "The result of one reading SQL statement; JSON has its first rows.",
        answers.sql_answer,
        (Parameter("q", "The statement.", required=True), Parameter("most", "Rows.", _WHOLE)),
        tabular=True,
        form=forms.RESULT,
    ),
    Endpoint(
        "/vocabulary",
        "Names that queries are made of.",
        answers.vocabulary_answer,
        form=forms.VOCABULARY,
    ),
    *(
        Endpoint(f"/{name}", summary, answers.overview_answer(name), tabular=True)
        for name, summary in overview.TABLES.items()
    ),
)
