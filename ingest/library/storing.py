"""What sources that come as a stream of records share: their checks, and how they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.machine.pool import default_workers
from featurestore.output.progress import progress_bar
from featurestore.registry import PropertyRegistry
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.recording import IncompleteError, Ingested, NothingSucceededError, ingested
from ingest.stages.plausibility import implausible_targets
from ingest.stages.structures import ingest_structures
from ingest.structures.records import MaterialRecord

_A_BATCH = 500  # what a kill may cost


class Ended:
    """Why records ended, where it was too early."""

    error: FeatureStoreError | None = None

    def up_to_an_error(self, records: Iterable[MaterialRecord]) -> Iterator[MaterialRecord]:
        """The same, ending where their source fails, so that those before are stored."""
        try:
            yield from records
        except FeatureStoreError as error:
            self.error = error


def check_order(ordered: str | None) -> None:
    """Raise unless disorder is ordered by a rule that there is.

    Raises
    ------
    InvalidInputError
        If it is not.
    """
    if ordered not in (None, "nearest"):
        raise InvalidInputError(f"disorder is ordered by 'nearest'; got {ordered!r}")


def check_limits(*limits: int | None) -> None:
    """Raise unless each is a positive number or None.

    Raises
    ------
    InvalidInputError
        If one is not.
    """
    for limit in limits:
        if limit is not None and limit < 1:
            raise InvalidInputError(f"a limit is 1 or more; got {limit}")


def stored(
    store: FeatureStore,
    run: Run,
    records: Iterable[MaterialRecord],
    *,
    dataset: str,
    registry: PropertyRegistry,
    replace: bool,
    notes: Sequence[str] = (),
    written: Callable[[int], None] = lambda count: None,
    stopped: Callable[[], FeatureStoreError | None] = lambda: None,
    present: int = 0,
) -> Ingested:
    """Put records into the store as they come, through the checks of `ingest_structures`.

    Parameters
    ----------
    notes : sequence of str
        Lines for the summary; more may be added while the records come.
    written : callable
        As for `ingest_structures`.
    stopped : callable
        Afterwards gives why the records ended too early, if they did.
    present : int
        Materials that were there already and are not among the records.

    Raises
    ------
    IncompleteError
        If they did, and something had come before.
    FeatureStoreError
        If they did, and nothing had.
    NothingSucceededError
        If every record failed.
    """
    with progress_bar(None, "structures", "materials") as progress:
        materials, targets = ingest_structures(
            store,
            records,
            dataset=dataset,
            registry=registry,
            run=run,
            progress=progress,
            workers=default_workers(),
            replace=replace,
            a_batch=_A_BATCH,
            written=written,
        )
    materials.notes += notes
    materials.present += present
    targets.notes += implausible_targets(store, dataset, registry)
    error = stopped()
    came = materials.written + materials.present + len(materials.failures)
    if error is not None and not came:
        raise error
    try:
        result = ingested(run, materials, targets)
    except NothingSucceededError as nothing:
        if error is None:
            raise
        result = nothing.result
    if error is not None:
        raise IncompleteError(
            f"{error}. What came before is stored; run the same command again to go on", result
        )
    return result
