"""The measures of an analysis as rows of ``effects``, from which its tables and figures are drawn.

One analysis of models that differ only by their seed has one ``explanation_id``: it names the
models, the method and every parameter, so that the same request finds the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from explain.erasing.outputs import output_unit
from featurestore.errors import MissingDataError
from featurestore.identity import canonical_json, versioned_id
from featurestore.output.display import Showing, Shown, figure_html, no_picture
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import TABLES
from featurestore.views.features import without_fingerprints
from train.models import SeedGroup, StoredModel

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

#: The part of what is about the whole text.
WHOLE = "text"

# Of the bootstrap and the sign flips; train.analysis.resampling draws with it.
_SEED = 0


@dataclass(frozen=True)
class Measure:
    """One number.

    Parameters
    ----------
    subset : str
        The materials: "all", "not truncated", or a group.
    part : str
        A tag, a pair of tags as "a × b", or "text" for what is about all of it.
    measure : str
        What is measured.
    n : int
        Number of materials.
    value : float
        Mean over them, in the property's unit.
    low, high : float or None
        95 % interval; None where there is none.
    p, p_holm : float or None
        Of the test that the mean is zero, and corrected; None where it is not tested.
    std : float or None
        Sample standard deviation over the seeds of the models; None for a single one.
    """

    subset: str
    part: str
    measure: str
    n: int
    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    std: float | None = None


@dataclass(frozen=True, repr=False)
class StoredEffects(Shown):
    """One analysis.

    Parameters
    ----------
    models : SeedGroup
        In order of the seed.
    method : str
        "deletion" or "mask"; of models with several texts, from which of them.
    parameters : dict
        Of the analysis, as JSON values.
    measures : tuple of Measure
        In the order in which they were computed.
    """

    models: SeedGroup
    method: str
    parameters: dict[str, Any]
    measures: tuple[Measure, ...] = field(repr=False)

    @property
    def text(self) -> str:
        """What the text is called whose parts were erased: its source, or its feature."""
        first = self.models.parameters.texts[0]
        return str(self.parameters.get("text") or without_fingerprints(str(first.generator_id)))

    @property
    def table(self) -> pa.Table:
        """One row for each measure, part of the text and subset of the materials."""
        names = ("subset", "part", "measure", "n", "value", "low", "high", "p_holm")
        columns = {name: [getattr(row, name) for row in self.measures] for name in names}
        floats = ("value", "low", "high", "p_holm")
        return pa.table(
            {
                name: pa.array(cells, pa.float64()) if name in floats else pa.array(cells)
                for name, cells in columns.items()
            }
        )

    def showing(self) -> Showing:
        """What each part of the text does for the error, on all materials."""
        p = self.models.parameters
        facts = {"features": p.features_name, "fold": str(self.parameters.get("fold"))}
        rows = self.table
        wanted = pc.is_in(rows["measure"], pa.array(["mae", "comprehensiveness", "over_control"]))
        shown = rows.filter(pc.and_(wanted, pc.equal(rows["subset"], "all")))
        title = f"Erasure from {self.text}: {p.property} ({output_unit(self.models.first)})"
        picture = (lambda: figure_html(self.figure(), title)) if self.tags else no_picture
        return Showing(title, facts, shown, picture=picture)

    def figure(self) -> Figure:
        """The heatmap and the intervals, see `explain.tags.heatmap.tags_figure`."""
        from explain.tags.heatmap import tags_figure

        return tags_figure([self])

    def find(self, measure: str, part: str = WHOLE, subset: str = "all") -> Measure | None:
        """The measure of that name; None if the analysis does not have it."""
        for row in self.measures:
            if (row.measure, row.part, row.subset) == (measure, part, subset):
                return row
        return None

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags of the text source."""
        parts = (row.part for row in self.measures if row.measure == "n_with_tag")
        return tuple(dict.fromkeys(parts))

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets of the materials."""
        return tuple(dict.fromkeys(row.subset for row in self.measures))


def store_effects(
    store: FeatureStore,
    models: SeedGroup,
    method: str,
    parameters: Mapping[str, Any],
    measures: Sequence[Measure],
    run: Run,
) -> StoredEffects:
    """Write an analysis; an earlier one of the same models, method and parameters is replaced."""
    said = {name: value for name, value in parameters.items() if (name, value) != ("text", None)}
    plain = json.loads(canonical_json(said))
    shared = {
        "explanation_id": _explanation_id(models, method, plain),
        "method": method,
        "model_ids": models.model_ids,
        "view_fingerprint": models[0].view_fingerprint,
        "parameters": canonical_json(plain),
        "seed": _SEED,
        "unit": output_unit(models[0]),
        "run_id": run.run_id,
    }
    rows = [
        shared | vars(measure) | {"position": position} for position, measure in enumerate(measures)
    ]
    table = pa.Table.from_pylist(rows, schema=TABLES["effects"].schema)
    run.counts["effects"] += store.merge("effects", table, replace=True).written
    return StoredEffects(models, method, plain, tuple(measures))


def stored_effects(
    session: Session,
    cases: Sequence[tuple[SeedGroup, str]],
    wanted: Mapping[str, Any],
) -> list[StoredEffects]:
    """Read the newest analysis of each group of models by each method; nothing is computed.

    Parameters
    ----------
    session : Session
        Where they are.
    cases : sequence of (SeedGroup, str)
        Models that differ only by their seed, in order of the seed, and a method.
    wanted : mapping
        Parameters that the analysis must have.

    Raises
    ------
    MissingDataError
        If a group has none.
    """
    found = []
    for models, method in cases:
        ids = models.model_ids
        rows = session.query(
            "SELECT e.*, r.started_at FROM effects e LEFT JOIN runs r USING (run_id) "
            "WHERE e.method = ? AND e.model_ids = ? ORDER BY r.started_at DESC, explanation_id, "
            "position",
            [method, ids],
        ).to_pylist()
        fitting = [row for row in rows if _fits(json.loads(row["parameters"]), wanted)]
        if not fitting:
            raise MissingDataError(
                f"no analysis of {', '.join(ids)} with these options is stored; make it with the "
                "same command without --stored"
            )
        newest = [r for r in fitting if r["explanation_id"] == fitting[0]["explanation_id"]]
        names = Measure.__dataclass_fields__
        measures = tuple(Measure(**{name: row[name] for name in names}) for row in newest)
        found.append(StoredEffects(models, method, json.loads(newest[0]["parameters"]), measures))
    return found


def _explanation_id(
    models: Sequence[StoredModel], method: str, parameters: Mapping[str, Any]
) -> str:
    first = models[0]
    name = f"{first.parameters.property} {first.text_source or ''} {method}"
    ids = [model.model_id for model in models]
    return versioned_id(name, {"models": ids, "method": method, "parameters": dict(parameters)})


def _fits(parameters: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(parameters.get(name) == value for name, value in wanted.items())
