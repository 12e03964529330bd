"""Which steps of a study are done, which are made, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from explain.study.record import Made, Record
from explain.study.state import Looked, look
from explain.study.steps import Step
from featurestore.identity import canonical_json, fingerprint
from featurestore.store import FeatureStore

DONE, NEW, AGAIN = "done", "new", "again"


@dataclass(frozen=True)
class Planned:
    """A step and what is to be done about it.

    Parameters
    ----------
    step : Step
    state : {"done", "new", "again"}
    why : str
        Of a step that is made again the reason.
    """

    step: Step
    state: str
    why: str = ""


def plan(store: FeatureStore | None, steps: Sequence[Step], record: Record) -> list[Planned]:
    """The state of every step, in order.

    A step is done if its entry says what it said when it was made, what it needs has made what it
    had made then, and what it made is still there.

    Parameters
    ----------
    store : FeatureStore or None
        None where there is no store yet.
    steps : sequence of Step
    record : Record
    """
    now = look(store)
    found: dict[str, Planned] = {}
    for step in steps:
        made = record.steps.get(step.name)
        if made is None or now is None:
            found[step.name] = Planned(step, NEW)
            continue
        why = reason(step, made, record, now)
        if not why:
            to_be_made = [name for name in step.needs if found[name].state != DONE]
            why = f"after {_listed(to_be_made)}" if to_be_made else ""
        found[step.name] = Planned(step, AGAIN if why else DONE, why)
    return list(found.values())


def reason(step: Step, made: Made, record: Record, now: Looked) -> str:
    """Why a step has to be made again; nothing if it has not.

    Parameters
    ----------
    step : Step
    made : Made
        What it made when it was last made.
    record : Record
        What the steps that it needs have made by now.
    now : Looked
        What the store has.
    """
    changed = _changes(made.keys, step.keys)
    if changed:
        return "; ".join(changed)
    other = [name for name in step.needs if made.inputs.get(name) != output_of(record, name)]
    left = [name for name in made.inputs if name not in step.needs]
    if other or left:
        return f"{_listed(other or left)} made something else"
    if step.table == "sources" and made.output.get("state") != now.digests:
        return "the store has other materials or targets by now"
    return now.gone(made, record.path.parent)


def output_of(record: Record, name: str) -> str | None:
    """The fingerprint of what a step has made; None if it has not been made."""
    made = record.steps.get(name)
    return None if made is None else fingerprint({"output": dict(made.output)})


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What the file says otherwise, key by key."""
    return [
        f"{key} was {_short(before.get(key))}, is {_short(after.get(key))}"
        for key in dict.fromkeys([*before, *after])
        if canonical_json({"": before.get(key)}) != canonical_json({"": after.get(key)})
    ]


def _short(value: Any) -> str:
    if value is None:
        return "not there"
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"[{name}]" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def plan_table(planned: Sequence[Planned]) -> list[dict[str, str]]:
    """Rows for people and programs."""
    return [{"step": f"[{one.step.name}]", "state": one.state, "why": one.why} for one in planned]
