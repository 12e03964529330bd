"""Runs a study: what is missing is made, step by step, and each step is kept at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from explain.study.explaining import make_explanation
from explain.study.file import Study
from explain.study.learning import make_training
from explain.study.making import (
    Output,
    StepError,
    Workshop,
    make_features,
    make_source,
    make_split,
    make_text,
    make_vectors,
)
from explain.study.page import NAME, make_page
from explain.study.plan import DONE, Planned, output_of, plan, reason
from explain.study.record import Made, Record
from explain.study.state import look
from explain.study.steps import REPORT, Step, study_fingerprint, study_steps
from featurestore.errors import FeatureStoreError, StorageError, StoreNotFoundError
from featurestore.store import FeatureStore

COMMAND = "study run"


def _nothing(shop: Workshop, step: Step) -> Output:
    """A predictor is made by the trainings that use it."""
    return Output({"keys": dict(step.keys)})


_MAKERS: Mapping[str, Callable[[Workshop, Step], Output]] = {
    "sources": make_source,
    "splits": make_split,
    "texts": make_text,
    "encoders": make_vectors,
    "features": make_features,
    "predictors": _nothing,
    "training": make_training,
    "explanations": make_explanation,
    REPORT: make_page,
}


@dataclass(frozen=True)
class StudyResult:
    """What running a study did.

    Parameters
    ----------
    made : tuple of Planned
        The steps that were made, with the reason.
    done : int
        Steps that had been made before.
    page : Path
        The page.
    fingerprint : str
        Of the study: of every entry, and of every file that they name.
    """

    made: tuple[Planned, ...]
    done: int
    page: Path
    fingerprint: str


def plan_study(study: Study, uri: str, folder: Path | None = None) -> list[Planned]:
    """What of a study is done in a store, what is made, and why.

    Parameters
    ----------
    study : Study
    uri : str
        Of the store, which need not exist.
    folder : Path, optional
        Of the page and the record; by default the study's.

    Raises
    ------
    FeatureStoreError
        If the store or the record cannot be read.
    """
    steps = study_steps(study)
    try:
        store = FeatureStore.open(uri)
    except StoreNotFoundError:
        store = None
    whole = store.uri if store else FeatureStore.open(uri, create=True).uri
    return plan(store, steps, Record.of(folder or study.folder, whole))


def run_study(
    study: Study,
    uri: str,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    workers: int | None = None,
) -> StudyResult:
    """Make what of a study is missing, and its page.

    After an interruption or a kill the same call goes on: a step that was made is not made again,
    and one that was under way finds what it had written. Nothing that earlier versions of the
    study made is removed from the store.

    Parameters
    ----------
    study : Study
    uri : str
        Of the store, which is made if it is not there.
    folder : Path, optional
        Of the page and the record; by default the study's.
    say : callable
        Called with each line for people.
    workers : int, optional
        Processes that describe structures; by default one a processor.

    Raises
    ------
    StepError
        If a step does not succeed; those before it are kept.
    """
    steps = study_steps(study)
    store = FeatureStore.open(uri, create=True)
    record = Record.of(folder or study.folder, store.uri)
    record.fingerprint = study_fingerprint(steps)
    shop = Workshop(store, study, record, say, workers)
    try:
        shop.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the study's folder {shop.folder}: {error}") from error
    _leave_out(record, steps, say)
    made: list[Planned] = []
    planned = plan(store if store.tables() else None, steps, record)
    if all(one.state == DONE for one in planned):
        return StudyResult((), len(steps), shop.folder / NAME, record.fingerprint)
    said = {
        "study": study.name,
        "fingerprint": record.fingerprint,
        "steps": [step.name for step in steps],
    }
    looked = look(store)
    with store.run(COMMAND, said) as run:
        for step in steps:
            before = record.steps.get(step.name)
            why = ""
            if before is not None:
                now = looked if not made else look(store)
                why = "" if now is None else reason(step, before, record, now)
                if not why:
                    continue
            say(f"[{step.name}]" + (f" again: {why}" if why else ""))
            record.put(step.name, _made(shop, step))
            made.append(Planned(step, "again" if why else "new", why))
            run.counts["steps"] = len(made)
    return StudyResult(tuple(made), len(steps) - len(made), shop.folder / NAME, record.fingerprint)


def _made(shop: Workshop, step: Step) -> Made:
    started, clock = datetime.now(UTC), time.monotonic()
    try:
        output = _MAKERS[step.table](shop, step)
    except FeatureStoreError as error:
        raise StepError(step, error) from error
    return Made(
        keys=dict(step.keys),
        inputs={name: output_of(shop.record, name) or "" for name in step.needs},
        output=output.facts,
        files=tuple(output.files),
        runs=_runs_since(shop.store, started),
        notes=tuple(output.notes),
        seconds=round(time.monotonic() - clock, 1),
    )


def _runs_since(store: FeatureStore, started: datetime) -> tuple[str, ...]:
    runs = store.dataset("runs")
    assert runs is not None  # the study's own is under way
    rows = runs.to_table(columns=["run_id", "command", "started_at"]).to_pylist()
    return tuple(
        row["run_id"]
        for row in sorted(rows, key=lambda row: row["started_at"])
        if row["started_at"] >= started and row["command"] != COMMAND
    )


def _leave_out(record: Record, steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """Take steps out of the record that the study no longer has."""
    known = {step.name for step in steps}
    for name in [name for name in record.steps if name not in known]:
        say(f"[{name}] is no longer in the study; what it made stays in the store")
        del record.steps[name]
