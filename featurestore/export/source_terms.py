"""Under which terms the data sets that people use are published, as hints for a data card."""

from __future__ import annotations

import re

from featurestore.output.markdown import code

_NIST = (
    "JARVIS-DFT is a work of NIST: no copyright in the United States, free use with attribution, "
    "no warranty. Cite K. Choudhary et al., npj Computational Materials 6, 173 (2020), "
    "doi:10.1038/s41524-020-00440-1"
)
_MATERIALS_PROJECT = (
    "Materials Project data are CC BY 4.0. Cite A. Jain et al., APL Materials 1, 011002 (2013), "
    "doi:10.1063/1.4812323"
)
# By the name under which a data set is in the store, which is that of its file.
_TERMS = (
    (re.compile(r"jarvis|(^|_)j?dft_[23]d|jvasp", re.IGNORECASE), _NIST, "other"),
    (
        re.compile(r"^mp([-_]|$)|materials_?project|megnet", re.IGNORECASE),
        _MATERIALS_PROJECT,
        "cc-by-4.0",
    ),
)


def terms_of(dataset: str) -> str:
    """What is known about the terms of a data set, by its name; else that its owner must be asked.

    A hint, not advice: a file may have been renamed.
    """
    for pattern, terms, _ in _TERMS:
        if pattern.search(dataset):
            return f"{code(dataset)}, by its name: {terms}."
    return f"{code(dataset)}: its licence and citation are not known here; ask where it comes from."


def licence_of(dataset: str) -> str:
    """The Hub's name of the licence, as far as the data set's name tells; else ``unknown``."""
    return next((name for pattern, _, name in _TERMS if pattern.search(dataset)), "unknown")
