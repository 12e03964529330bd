"""Robocrystallographer's description of a crystal, deterministic and without network.

Method: A. M. Ganose and A. Jain, MRS Communications 2019, 9, 874 (package robocrys), called with
its defaults as Li et al. (Digital Discovery 2025, 4, 376) do.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.errors import InvalidInputError
from ingest.structures.convert import to_pymatgen
from ingest.text.base import GeneratorSpec, Sentence
from ingest.text.robocrys_layer import unproven
from ingest.text.robocrys_layer.imports import without_checks
from ingest.text.sentences import split_sentences
from ingest.text.tagging import TAGGER_VERSION, tagged

if TYPE_CHECKING:
    from featurestore.crystal import Crystal

SOURCE = "robocrystallographer"

_PACKAGES = ("robocrys", "pymatgen", "pymatgen-core", "matminer", "spglib")


class Robocrystallographer:
    """Describes crystals as Robocrystallographer's default condenser and describer do.

    The texts are those of the plain library under :func:`reference_settings`. Where the installed
    versions are the proven ones they come from the fast layer, else from the library itself.

    Parameters
    ----------
    guess_oxidation_states : bool
        Whether pymatgen guesses oxidation states first, as robocrys' command line does. The
        paper's texts have none.
    """

    def __init__(self, guess_oxidation_states: bool = False) -> None:
        self._guess = guess_oxidation_states
        self.spec = GeneratorSpec(
            SOURCE,
            {
                **{package: version(package) for package in _PACKAGES},
                "openbabel": _openbabel_version(),
                "oxidation_states": "guessed" if guess_oxidation_states else "none",
                "word_order": "sorted",
                "numpy_print": "1.25",
                "online_pubchem": False,
                "tagger": TAGGER_VERSION,
            },
        )
        self._condenser: Any = None
        self._describer: Any = None

    def warm_up(self) -> None:
        """Import robocrys and load its databases: several seconds and some 400 MB."""
        if self._condenser is not None:
            return
        differing = unproven()
        if differing:
            warnings.warn(
                "Robocrystallographer runs as the plain library, some 20 times slower: the fast "
                f"layer is not proven for {', '.join(differing)}",
                stacklevel=2,
            )
        with quiet():
            if differing:
                from robocrys import StructureCondenser

                self._condenser = StructureCondenser()
            else:
                with without_checks():
                    from ingest.text.robocrys_layer.condenser import SharedCondenser

                self._condenser = SharedCondenser()
            from robocrys import StructureDescriber

            self._describer = StructureDescriber()

    def describe(self, crystal: Crystal) -> list[Sentence]:
        """The tagged sentences of the description.

        Raises
        ------
        InvalidInputError
            If the library cannot describe the structure, or says nothing about it.
        """
        text = self.text(crystal)
        return tagged(SOURCE, split_sentences(text))

    def text(self, crystal: Crystal) -> str:
        """The description as one string.

        Raises
        ------
        InvalidInputError
            If the library cannot describe the structure, or says nothing about it.
        """
        self.warm_up()
        try:
            with quiet(), reference_settings():
                structure = to_pymatgen(crystal)
                if self._guess:
                    structure.add_oxidation_state_by_guess(max_sites=-80)
                condensed = self._condenser.condense_structure(structure)
                text = str(self._describer.describe(condensed))
        except Exception as error:
            raise InvalidInputError(
                "Robocrystallographer cannot describe this structure: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not text.strip():
            raise InvalidInputError("Robocrystallographer gives an empty description")
        return text


def _openbabel_version() -> str | None:
    """The version of OpenBabel, without which molecules have no names in the texts."""
    for package in ("openbabel-wheel", "openbabel"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the warnings that the libraries give by the hundred for each structure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def reference_settings() -> Iterator[None]:
    """The settings that make the library's text one text without network, undone afterwards.

    The describer prints two sets of words, shared polyhedron parts and directions, in the order of
    their hashes, which differs from process to process: here ``list`` sorts within its module.
    NumPy 2 writes ``np.int64(0)`` in a Miller index: here NumPy prints as version 1.25 did. And
    molecules are looked up in the library's own table only, not on PubChem.
    """
    from robocrys.condense import condenser
    from robocrys.describe import describer

    namer = condenser.MoleculeNamer
    condenser.MoleculeNamer = partial(namer, use_online_pubchem=False)
    describer.list = sorted
    try:
        with np.printoptions(legacy="1.25"):
            yield
    finally:
        del describer.list
        condenser.MoleculeNamer = namer
