"""How much of a contribution stands out from what words without a meaning of their own do.

Deleting any word moves a mean over tokens and the places of all later ones, so that "is" and "the"
have contributions, too. They are the control: only what exceeds their spread is coloured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from explain.drawing.printed import number
from explain.words.contributions import Contributions
from featurestore.output.labels import printed_after

# Of the closed classes of English, as far as descriptions use them: articles, conjunctions,
# prepositions, pronouns, auxiliaries.
_WORDS = (
    "a an and are as at be both but by each for from has have in into is it its of on or per so "
    "than that the their there these they this those to was were which while with"
)
_FUNCTION_WORDS = frozenset(_WORDS.split(" "))

# Of fewer no spread is taken.
_LEAST = 5
_SHARE = 95


def is_control(word: str) -> bool:
    """Whether a word is a function word, whatever stands around it.

    >>> [is_control(word) for word in ("The", "of,", "Oxygen", "A-site")]
    [True, True, False, False]
    """
    return word.strip(".,;:()[]").lower() in _FUNCTION_WORDS


def control_spread(found: Contributions) -> float:
    """The size that 95 % of the function words' contributions do not exceed; 0 without a control.

    In the unit of the contributions. Where parts are no words, or the text has fewer than five
    function words, there is no control.
    """
    controls = [abs(part.mean) for part in found.parts if is_control(part.unit.text)]
    if found.kind != "word" or len(controls) < _LEAST:
        return 0.0
    return float(np.percentile(controls, _SHARE))


def levels(found: Contributions) -> npt.NDArray[np.float64]:
    """For each word how its part is coloured: shape (words,), float64.

    From -1, what lowers the prediction most, to 1; 0 for what does not stand out: controls, and
    parts that do no more than these, or no more than as many random sentences where these were
    erased, too. NaN where nothing was measured.
    """
    common = control_spread(found)
    beyond = np.full(len(found.description.words), np.nan)
    for part in found.parts:
        spread = common if part.control is None else part.control
        size = max(abs(part.mean) - spread, 0.0)
        if common and is_control(part.unit.text):
            size = 0.0
        beyond[list(part.unit.positions)] = np.sign(part.mean) * size
    known = np.abs(beyond[np.isfinite(beyond)])
    return beyond / (known.max(initial=0.0) or 1.0)


def control_said(found: Contributions) -> str:
    """What a reader should know of the control, as a sentence without its full stop; or nothing.

    Where nothing stands out this is said.
    """
    spread = control_spread(found)
    unit = printed_after(found.unit_of_contributions)
    if spread:
        n = sum(is_control(part.unit.text) for part in found.parts)
        said = (
            f"not coloured is what moves it by {number(spread)}{unit} or less, as 95 % of the {n} "
            "function words (is, the, of …) do"
        )
    elif any(part.controls for part in found.parts):
        said = "not coloured is what moves it no more than as many random sentences do"
    else:
        return ""
    return f"{said}: here all" if not np.nan_to_num(levels(found)).any() else said
