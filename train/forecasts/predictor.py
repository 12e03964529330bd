"""Predicts materials from their files or from the store; what it has loaded stays loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from featurestore.catalogue import structures_of
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.preparation import Preparation, ReadMaterials
from featurestore.preparation import preparation as installed_preparation
from featurestore.query.conditions import materials_where
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views.candidates import select_candidates
from featurestore.views.parameters import ViewParameters
from featurestore.views.view import TrainingView
from train.forecasts.chosen import groups_asked_for, properties_with_models
from train.forecasts.domain import Traits, traits_of
from train.forecasts.forecast import Forecast
from train.forecasts.group import LoadedGroup, group_id, load_group, tell
from train.forecasts.result import Forecasts
from train.forecasts.scratch import copy_content, copy_materials, scratch_store
from train.forecasts.stored import store_forecasts
from train.models import SeedGroup


@dataclass
class _Asked:
    """The materials of one call, and what went wrong with others."""

    material_ids: list[str]
    failures: dict[str, Failure] = field(default_factory=dict)
    passed_over: dict[str, Failure] = field(default_factory=dict)


class Predictor:
    """Models of one or several properties, ready for any number of calls.

    Use it as a context manager, or close it: worker processes that describe structures are kept.

    Parameters
    ----------
    store : FeatureStore
        Where the models are; candidates and forecasts are written there.
    properties : sequence of str
        What to predict, each by its promoted models, or the only ones.
    models : sequence of str
        In place of properties or beside them: models by id or its beginning; with each go those
        that differ from it by the seed. Neither: all properties that have models.
    keep : bool
        Whether candidates, their texts and vectors, and the forecasts are stored. Without, nothing
        is written to the store.

    Raises
    ------
    MissingDataError, UnknownNameError, InvalidInputError
        If there is no such model, or which is meant is not plain.
    """

    def __init__(
        self,
        store: FeatureStore,
        properties: Sequence[str] = (),
        *,
        models: Sequence[str] = (),
        keep: bool = True,
    ) -> None:
        self.store = store
        self.keep = keep
        with store.session() as session:
            if not properties and not models:
                properties = properties_with_models(session)
                if not properties:
                    raise InvalidInputError(
                        "the store has no model to predict with; train one with: featurestore "
                        "train ensemble --property … --split …"
                    )
            groups = groups_asked_for(session, properties, models)
        self.groups: tuple[SeedGroup, ...] = tuple({group_id(g): g for g in groups}.values())
        self._loaded: dict[str, LoadedGroup] = {}
        self._preparation: Preparation | None = None

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of encoders and worker processes; a later call loads them again."""
        if self._preparation is not None:
            self._preparation.close()
            self._preparation = None

    def predict(
        self,
        sources: str | Path | Sequence[str | Path] = (),
        *,
        ids: Sequence[str] = (),
        where: str | None = None,
        dataset: str | None = None,
        id_from: str = "stem",
    ) -> Forecasts:
        """Predict materials of files, and materials of the store by id or a condition.

        Parameters
        ----------
        sources : path, or several
            Structure files, folders, archives or globs, as for ``featurestore ingest structures``.
        ids : sequence of str
            Materials of the store.
        where : str, optional
            Materials of the store for which this SQL condition over materials and properties holds.
        dataset : str, optional
            Name recorded for the data set of the files; by default that of the first source.
        id_from : str
            What of a file is its material's id: ``stem``, ``path``, ``formula`` or
            ``regex:PATTERN``.

        Raises
        ------
        InvalidInputError
            If nothing is named, or a source names nothing.
        UnknownNameError
            If the store has no material of an id.
        MissingVersionError
            If a candidate needs an encoder or generator whose version is not installed.
        """
        with self.predicting(sources, ids=ids, where=where, dataset=dataset, id_from=id_from) as (
            _,
            forecasts,
        ):
            pass
        return forecasts

    @contextmanager
    def predicting(
        self,
        sources: str | Path | Sequence[str | Path] = (),
        *,
        ids: Sequence[str] = (),
        where: str | None = None,
        dataset: str | None = None,
        id_from: str = "stem",
    ) -> Iterator[tuple[FeatureStore, Forecasts]]:
        """Predict as `predict` does, and see the materials' rows for as long as the block lasts.

        Yields
        ------
        FeatureStore
            Where the materials are: the store, or the one that is gone afterwards.
        Forecasts
            What came of it.
        """
        files = [sources] if isinstance(sources, str | Path) else list(sources)
        if not files and not ids and where is None:
            raise InvalidInputError("name structure files, material ids, or a condition (where)")
        clock = _Clock()
        with clock.of("load models"):
            groups = [self._group(group) for group in self.groups]
        views = [group.parameters for group in groups]
        with self._place(views) as place:
            with clock.of("read"):
                read = ReadMaterials(())
                if files:
                    read = self.preparation.read(place, files, dataset=dataset, id_from=id_from)
                chosen = self._chosen(ids, where)
                if place is not self.store:
                    self._copy(place, views, read.material_ids, chosen)
            asked = _Asked(
                list(dict.fromkeys([*read.material_ids, *chosen])),
                dict(read.failures),
                dict(read.passed_over),
            )
            told: list[Forecast] = []
            notes: list[str] = []
            for group in groups:
                told += self._forecast(place, group, asked, clock, notes)
            with clock.of("store"):
                new = store_forecasts(self.store, groups, told) if self.keep else 0
            yield (
                place,
                Forecasts(
                    rows=tuple(told),
                    failures=asked.failures,
                    passed_over=asked.passed_over,
                    notes=tuple(dict.fromkeys(notes)),
                    written=new,
                    seconds=clock.seconds,
                ),
            )

    def loaded(self, name: str) -> LoadedGroup:
        """The models with this group id, one of those that predict."""
        return self._group(next(group for group in self.groups if group_id(group) == name))

    @property
    def preparation(self) -> Preparation:
        """What reads, describes and encodes; loaded when it is first asked for."""
        if self._preparation is None:
            self._preparation = installed_preparation()
        return self._preparation

    def _group(self, group: SeedGroup) -> LoadedGroup:
        name = group_id(group)
        if name not in self._loaded:
            self._loaded[name] = load_group(self.store, group)
        return self._loaded[name]

    @contextmanager
    def _place(self, views: Sequence[ViewParameters]) -> Iterator[FeatureStore]:
        """Where candidates go: the store, or one for this call alone."""
        if self.keep:
            yield self.store
        else:
            with scratch_store(self.store, views) as scratch:
                yield scratch

    def _chosen(self, ids: Sequence[str], where: str | None) -> list[str]:
        """The materials of the store that are asked for."""
        found: list[str] = []
        with self.store.session() as session:
            if ids:
                known = session.query("SELECT material_id FROM materials")["material_id"]
                everything = known.to_pylist()
                for name in sorted(set(ids) - set(everything))[:1]:
                    raise UnknownNameError("material", name, everything)
                found += ids
            if where is not None:
                found += sorted(materials_where(session, where)["material_id"].to_pylist())
        if where is not None and not found:
            raise InvalidInputError(f"no material of the store fulfils {where}")
        return found

    def _copy(
        self,
        scratch: FeatureStore,
        views: Sequence[ViewParameters],
        read: Sequence[str],
        chosen: Sequence[str],
    ) -> None:
        """What the store has of the materials, into a scratch store: nothing is made twice."""
        with self.store.session() as session:
            copy_materials(session, scratch, views, [one for one in chosen if one not in read])
            if not scratch.tables():
                return
            with scratch.session() as there:
                structures = there.query("SELECT DISTINCT structure_id FROM materials")
            copy_content(session, scratch, views, structures["structure_id"].to_pylist())

    def _forecast(
        self,
        place: FeatureStore,
        group: LoadedGroup,
        asked: _Asked,
        clock: _Clock,
        notes: list[str],
    ) -> list[Forecast]:
        if not asked.material_ids:
            return []
        view, traits = self._view(place, group, asked, clock)
        with clock.of("predict"):
            told, readable, failures = tell(group, place, view, self.store)
        asked.failures |= failures
        rows = [row for row, usable in enumerate(readable) if usable]
        notes += group.knowledge.notes
        own = int((group.knowledge.domain.rows_of(view.material_ids) >= 0).sum())
        if own:
            notes.append(
                f"{group.parameters.property}: {own} of {len(view)} are training materials of the "
                "model; what it says of them shows nothing of its errors"
            )
        with clock.of("compare"):
            return Forecast.of_group(group, view, told, traits, rows, self._targets(group, view))

    def _view(
        self, place: FeatureStore, group: LoadedGroup, asked: _Asked, clock: _Clock
    ) -> tuple[TrainingView, Traits]:
        """The rows of the candidates, what they lack having been made."""
        parameters = group.parameters
        reasons: dict[str, Failure] = {}
        made = not parameters.vectors
        while True:
            with clock.of("look up"), place.session() as session:
                selected, lacking = select_candidates(session, parameters, asked.material_ids)
                if not lacking or made:
                    traits = traits_of(session, selected.rows["material_id"].to_pylist())
                    asked.failures |= _named(session, lacking, reasons)
                    break
            with clock.of("describe and encode"):
                reasons = self.preparation.vectors(place, parameters.vectors, sorted(lacking))
                made = True
        with clock.of("look up"):
            return selected.read(), traits

    def _targets(self, group: LoadedGroup, view: TrainingView) -> dict[str, float | None]:
        """The materials that have a value of the property, with their target.

        The target is of the source, or by the rule, that the models learned from, in their unit;
        None where there are others alone.
        """
        p = group.parameters
        with self.store.session() as session:
            rows = session.query(
                """
                WITH given AS (
                    SELECT material_id, source, value, unit FROM properties WHERE property = $1
                    UNION ALL
                    SELECT material_id, rule, value, unit FROM ruled_values WHERE property = $1
                )
                SELECT material_id,
                       any_value(value) FILTER (WHERE source = $2 AND unit = $3) AS target
                FROM given WHERE material_id IN (SELECT unnest($4::VARCHAR[])) GROUP BY material_id
                """,
                [p.property, p.property_source, p.unit, view.material_ids],
            ).to_pylist()
        return {row["material_id"]: row["target"] for row in rows}


class _Clock:
    """Adds up where the time goes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start


def _named(
    session: Session, lacking: dict[str, str], reasons: dict[str, Failure]
) -> dict[str, Failure]:
    """Why materials cannot be predicted: what failed with their structure, or what they lack."""
    if not lacking:
        return {}
    structures = structures_of(session, lacking)
    return {
        name: reasons.get(structures[name], Failure("Lacking", f"it has no {what}"))
        for name, what in lacking.items()
    }
