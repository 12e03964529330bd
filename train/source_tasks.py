"""Which targets the source models that people use as encoders have learned already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.catalogue import Encoder


@dataclass(frozen=True)
class SourceTask:
    """What a source model learned.

    Parameters
    ----------
    learned : str
        Quantities and data set, in words.
    near : frozenset of str
        Properties whose values of the same crystals follow closely from it.
    """

    learned: str
    near: frozenset[str]


# The same quantity under the names of two data sets, and what follows from it.
_ENERGIES = frozenset({"formation_energy_peratom", "formation_energy_per_atom", "ehull"})
_ALIGNN_FF = SourceTask(
    "energies and forces of JARVIS-DFT",
    frozenset({"formation_energy_peratom", "ehull", "optb88vdw_total_energy"}),
)
_MP_E_FORM = SourceTask(
    "formation energies of the Materials Project, which holds many of the crystals of JARVIS-DFT",
    frozenset({"formation_energy_peratom"}),
)
_BY_WEIGHTS = {"9c8b6987b69cc11fbc6ec2f2752466a033910ef1ca463fad6c04d1260e95505f": _ALIGNN_FF}
_BY_NAME = {"alignn-ff": _ALIGNN_FF, "mp_e_form_alignn": _MP_E_FORM}
# The published ALIGNN models of JARVIS-DFT are named after what they predict.
_JARVIS_MODEL = re.compile(r"jv_(.+)_alignn")


def source_task(encoder: Encoder) -> SourceTask | None:
    """What the encoder's source model learned, known by its weights or its name; None if not."""
    if task := _BY_WEIGHTS.get(str(encoder.fingerprint.get("weights_sha256"))):
        return task
    if isinstance(learned := encoder.fingerprint.get("learned"), Mapping):
        return _learned_here(learned)
    if found := _JARVIS_MODEL.fullmatch(encoder.name):
        target = found.group(1).replace("supercon_tc", "Tc_supercon")
        return SourceTask(f"{target} of JARVIS-DFT", frozenset({target}))
    return _BY_NAME.get(encoder.name)


def _learned_here(learned: Mapping[str, Any]) -> SourceTask | None:
    """What a model that was trained from a store says of itself."""
    told, names = learned.get("projected"), learned.get("properties")
    known = {
        task
        for digest in (told.values() if isinstance(told, Mapping) else ())
        if (task := _BY_WEIGHTS.get(str(digest)))
    }
    named = list(map(str, names)) if isinstance(names, list) else []
    near = frozenset(named)
    if near & _ENERGIES:
        near |= _ENERGIES
    if known:
        words = " and ".join(sorted(task.learned for task in known))
        named.append(f"from vectors that have learned {words}")
        near = near.union(*(task.near for task in known))
    return SourceTask(" and ".join(named), near) if named else None


def optimistic(encoder: Encoder, property: str) -> str | None:
    """A warning where errors for a property are too low because of what the encoder has seen."""
    task = source_task(encoder)
    if task is None or property not in task.near:
        return None
    return (
        f"{encoder.encoder_id} has learned {task.learned}: errors for {property} with its vectors "
        "are optimistic"
    )


def source_warnings(encoders: Iterable[Encoder], property: str) -> list[str]:
    """The warnings of `optimistic` for several encoders."""
    return [warning for encoder in encoders if (warning := optimistic(encoder, property))]
