"""What a folder of weights says of the materials it has learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The key of ``config.json`` under which a model trained here says how; the keys in it that become
#: part of the encoder's fingerprint.
TRAINING, TRAINED_ON, LEARNED = "training", "trained_on", "learned"
#: In what was learned: the encoders whose vectors it was learned from, with the digests of their
#: weights.
PROJECTED = "projected"


def schooling(config: Mapping[str, Any]) -> dict[str, Any]:
    """What goes into the fingerprint of an encoder that was trained from a store.

    Returns
    -------
    dict
        ``trained_on``, the ids of the materials learned from, and ``learned``, the properties or
        the task; empty for a folder that says nothing of the kind.
    """
    said = config.get(TRAINING)
    if not isinstance(said, Mapping) or not isinstance(said.get(TRAINED_ON), list):
        return {}
    found: dict[str, Any] = {TRAINED_ON: [str(one) for one in said[TRAINED_ON]]}
    if LEARNED in said:
        found[LEARNED] = said[LEARNED]
    return found
