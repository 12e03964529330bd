"""Why materials got their forecasts, as values, tables and text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from explain.reasons.text import case_text
from explain.words.contributions import Contributions, OverSeeds
from featurestore.output.display import Showing, Shown, as_html
from train.forecasts.forecast import Forecast


@dataclass(frozen=True)
class Silenced(OverSeeds):
    """A part of the features, replaced by its mean over the training materials.

    Parameters
    ----------
    name : str
        ``structure`` and ``text`` are whole vectors, ``structure.atom`` and so on parts of one.
    by_seed : tuple of float
        The prediction minus the one without the part, for each model.
    """

    name: str
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Known:
    """A near training material.

    Parameters
    ----------
    material_id : str
        Its id.
    formula : str or None
        None for one that the store does not have, since the models came from another.
    target : float
        Its target, in the unit of the property.
    """

    material_id: str
    formula: str | None
    target: float


@dataclass(frozen=True, repr=False)
class Why(Shown):
    """Why one material got its forecast of one property.

    Parameters
    ----------
    forecast : Forecast
        What was predicted.
    texts : tuple of Contributions
        Sentences, then tags, of each text that the models read.
    segments : tuple of Silenced
        Parts of the features, the structure's first.
    nearest : tuple of Known
        The nearest training materials, nearest first.
    notes : tuple of str
        What could not be asked, and why.
    """

    forecast: Forecast
    texts: tuple[Contributions, ...] = field(repr=False)
    segments: tuple[Silenced, ...] = field(repr=False)
    nearest: tuple[Known, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The unit of what parts add: the property's, or that of a probability of classes."""
        return "1" if self.forecast.classes else self.forecast.unit

    @property
    def table(self) -> pa.Table:
        """One row for each part, in the unit of the property, or as probabilities of a class.

        Columns: ``material_id``, ``property``, ``input`` (whose text, or "features"), ``kind``
        (sentence, tag, segment), ``part``, ``text`` (what it says), ``contribution`` (the
        prediction minus the one without it), ``seeds_std``, ``control`` (mean size for as many
        random sentences), ``larger_than`` (how many of the ``draws`` of these move it less).
        """
        shared = {"material_id": self.forecast.material_id, "property": self.forecast.property}
        rows = [shared | part | {"unit": self.unit} for part in self.parts()]
        return pa.Table.from_pylist(rows, schema=_SCHEMA)

    @property
    def nearest_table(self) -> pa.Table:
        """The nearest training materials: ``material_id``, ``formula``, ``target``, ``unit``."""
        rows = [vars(one) | {"unit": self.forecast.unit} for one in self.nearest]
        return pa.Table.from_pylist(rows, schema=pa.schema([*_KNOWN, ("unit", pa.string())]))

    def parts(self) -> Iterator[dict[str, Any]]:
        """The rows of the table, without what they share."""
        for found in self.texts:
            tags = [one.tag for one in found.description.sentences for _ in one.words]
            for part in found.parts:
                tag = tags[part.unit.positions[0]]
                yield {
                    "input": found.text.name,
                    "kind": found.kind,
                    "part": part.unit.part,
                    "text": part.unit.text if found.kind == "sentence" else "",
                    "tag": tag,
                    "contribution": part.mean,
                    "seeds_std": part.std,
                    "control": part.control,
                    "larger_than": part.larger_than,
                    "draws": len(part.controls) or None,
                }
        for one in self.segments:
            yield {
                "input": "features",
                "kind": "segment",
                "part": one.name,
                "text": "",
                "contribution": one.mean,
                "seeds_std": one.std,
            }

    def as_value(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {
            "parts": list(self.parts()),
            "nearest": [vars(one) for one in self.nearest],
            "notes": list(self.notes),
        }

    def showing(self) -> Showing:
        """The parts, strongest first within each kind, and what is near."""
        f = self.forecast
        names = ["kind", "part", "text", "contribution", "seeds_std", "control", "larger_than"]
        sizes = [abs(one) for one in self.table["contribution"].to_pylist()]
        rows = self.table.append_column("size", pa.array(sizes, pa.float64()))
        rows = rows.sort_by([("kind", "ascending"), ("size", "descending")])
        near = ", ".join(
            f"{one.material_id} ({f.named(one.target) if f.classes else f'{one.target:.4g}'})"
            for one in self.nearest
        )
        told = f"{f.prediction:.4g} {f.unit}"
        if f.classes:
            told = f"{f.named(f.prediction)}, probability {max(f.probabilities):.2g}"
        facts = {
            "prediction": told,
            "nearest known": near or "none",
        }
        title = f"Why {f.property} of {f.material_id} ({f.formula})"
        return Showing(title, facts, rows.select(names), self.notes, self._coloured)

    def _coloured(self) -> str:
        """The texts coloured by their sentences."""
        return "".join(one.coloured() for one in self.texts if one.kind == "sentence")

    def text(self) -> str:
        """As a terminal shows it."""
        return case_text(self)


@dataclass(frozen=True, repr=False)
class Reasons(Shown):
    """The reasons of several forecasts.

    Parameters
    ----------
    forecasts : tuple of Forecast
        All that there are.
    cases : tuple of Why
        Those that are explained.
    notes : tuple of str
        What is to be known about all.
    """

    forecasts: tuple[Forecast, ...]
    cases: tuple[Why, ...]
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> pa.Table:
        """The tables of all cases, one below the other."""
        return pa.concat_tables([_SCHEMA.empty_table(), *(case.table for case in self.cases)])

    def find(self, material_id: str, property: str | None = None) -> Why | None:
        """The case of a material, and of a property where there are several; None if none is."""
        for case in self.cases:
            f = case.forecast
            if f.material_id == material_id and property in (None, f.property):
                return case
        return None

    def column(self) -> pa.Array:
        """For each forecast a structure of parts, near materials and notes, or null."""
        of = {id(case.forecast): case.as_value() for case in self.cases}
        return pa.array([of.get(id(one)) for one in self.forecasts], type=_WHY)

    def text(self) -> str:
        """As a terminal shows it, case by case."""
        return "\n\n".join(case.text() for case in self.cases)

    def showing(self) -> Showing:
        """How many there are; each case shows itself below."""
        return Showing(f"Why: {len(self.cases)} of {len(self.forecasts)} forecasts")

    def __repr__(self) -> str:
        return "\n\n".join([*map(repr, self.cases), *self.notes]) or super().__repr__()

    def _repr_html_(self) -> str:
        return "".join(as_html(case.showing()) for case in self.cases) or super()._repr_html_()


_PART = [
    *[(name, pa.string()) for name in ("input", "kind", "part", "text", "tag")],
    *[(name, pa.float64()) for name in ("contribution", "seeds_std", "control")],
    *[(name, pa.int64()) for name in ("larger_than", "draws")],
]
_KNOWN = [("material_id", pa.string()), ("formula", pa.string()), ("target", pa.float64())]
_SCHEMA = pa.schema(
    [("material_id", pa.string()), ("property", pa.string()), *_PART, ("unit", pa.string())]
)
_WHY = pa.struct(
    [
        ("parts", pa.list_(pa.struct(_PART))),
        ("nearest", pa.list_(pa.struct(_KNOWN))),
        ("notes", pa.list_(pa.string())),
    ]
)
