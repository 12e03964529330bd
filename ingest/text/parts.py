"""The text generators that ship with this package, as parts."""

from __future__ import annotations

from featurestore.plugins import Request, Setting
from ingest.text.base import TextGenerator, TextPart
from ingest.text.tagging import REFERENCE_TAGS, STORE_TAGS


def _robocrystallographer(request: Request) -> TextGenerator:
    from ingest.text.robocrystallographer import Robocrystallographer

    return Robocrystallographer(**request.settings)


def _chemnlp(request: Request) -> TextGenerator:
    from ingest.text.chemnlp import ChemNLP

    return ChemNLP(**request.settings)


def _composition(request: Request) -> TextGenerator:
    from ingest.text.composition import Composition

    return Composition(**request.settings)


COMPOSITION = TextPart(
    name="composition",
    summary="The reduced formula alone: a control, by which a description is measured.",
    make=_composition,
    tags=("formula",),
    trained_on=(),
    licence="MIT",
)

ROBOCRYSTALLOGRAPHER = TextPart(
    name="robocrystallographer",
    summary="Robocrystallographer's sentences on dimensionality, sites, polyhedra and bonds.",
    make=_robocrystallographer,
    tags=STORE_TAGS["robocrystallographer"],
    reference_tags=REFERENCE_TAGS["robocrystallographer"],
    packages=("robocrys", "pymatgen", "pymatgen-core", "matminer", "spglib"),
    trained_on=(),
    licence="modified BSD (robocrys)",
    read_settings=lambda stored: {
        "guess_oxidation_states": stored.get("oxidation_states") == "guessed"
    },
    settings=(
        Setting(
            "guess_oxidation_states",
            bool,
            False,
            "Whether pymatgen guesses oxidation states first, which the text then names.",
        ),
    ),
)

CHEMNLP = TextPart(
    name="chemnlp",
    summary="ChemNLP's three sections: chemistry, structure, bond distances.",
    make=_chemnlp,
    tags=STORE_TAGS["chemnlp"],
    reference_tags=REFERENCE_TAGS["chemnlp"],
    packages=("jarvis-tools", "spglib"),
    trained_on=(),
    licence="NIST terms (jarvis-tools)",
)
