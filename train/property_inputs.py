"""What to know where stored properties are inputs: they must be known, and may tell the target."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from featurestore.views.features import PropertyFeature
from featurestore.views.view import TrainingView

# From this correlation on a property says nearly all that there is to learn.
_TELLING = 0.9


def property_input_notes(view: TrainingView, train: npt.NDArray[np.bool_]) -> list[str]:
    """A note for each property among the features of a view.

    Parameters
    ----------
    view : TrainingView
        With or without such features.
    train : ndarray, shape (n,), bool
        The rows to learn from: on them the correlation with the targets is measured (Pearson's).
    """
    notes = []
    for block in view.blocks:
        if not isinstance(block.feature, PropertyFeature):
            continue
        name = block.feature.name
        notes.append(
            f"{name} is an input: a material's {view.parameters.property} can be predicted only "
            f"where its {name} is known"
        )
        p = view.parameters
        read = rf"[( ]{re.escape(name)} from "
        if p.property_source.startswith("sql ") and re.search(read, p.property_source):
            notes.append(f"{name} gives {p.property} away: the rule of {p.property} reads it")
            continue
        values = view.features[train, block.start].astype(np.float64)
        targets = view.targets[train]
        if np.ptp(values) and np.ptp(targets):
            r = float(np.corrcoef(values, targets)[0, 1])
            if abs(r) >= _TELLING:
                notes.append(
                    f"{name} may give {view.parameters.property} away: on the training rows their "
                    f"correlation is {r:.3f}; is one calculated from the other?"
                )
    return notes
