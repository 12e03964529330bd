"""The page of a study: its numbers beside published ones, its figures, where everything is from."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from explain.drawing.pages import write_page
from explain.drawing.printed import number
from explain.study.making import Output, Workshop
from explain.study.published import change, kind_of_features, read_removals
from explain.study.record import Made
from explain.study.steps import Step
from featurestore.files import ROWS_SIZE, read_json
from featurestore.history.lineage import model_lineage
from featurestore.history.lineage_output import as_json
from featurestore.output.labels import property_title
from featurestore.output.rows import atomic_path
from train.benchmark.published import Published, read_published

NAME = "report.html"
LINEAGE = "lineage.json"
_MOST_ROWS = 60
# Explanations whose figures say it all; their numbers are in the file beside.
_FIGURES_ALONE = ("words", "parity")
_TITLES = {
    "tags": "Without each kind of sentence",
    "segments": "Without each part of the features",
    "words": "What each word adds",
    "groups": "Errors by group",
    "parity": "Predicted against target",
}
_HEADINGS = {"mae": "MAE", "mae_low": "95 % from", "mae_high": "to"}
# What a figure of one material is called: property, model with its digits, material.
_OF_MATERIAL = re.compile(r"_[0-9a-f]{10}_(.+)$")


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and whether it holds numbers."""

    name: str
    numeric: bool


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    anchor, title : str
    notes : tuple of str
    shared : str
        What all rows have in common.
    columns : tuple of Column
    rows : list of list of str or float or None
    figures : list of (str, str)
        What it is of beside the title, as a property, and the PNG as a data address.
    numbers : str
        The file with every number.
    left_out : int
        Rows that are only there.
    """

    anchor: str
    title: str
    notes: tuple[str, ...]
    shared: str = ""
    columns: tuple[Column, ...] = ()
    rows: list[list[Any]] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    numbers: str = ""
    left_out: int = 0


def make_page(shop: Workshop, step: Step) -> Output:
    """Write the page, and the lineage of every model as JSON."""
    study, tables = shop.study, shop.study.tables
    said = tables["report"]
    published = read_published(Path(said["published"])) if "published" in said else []
    removals = (
        read_removals(Path(said["published-removals"])) if "published-removals" in said else []
    )
    sections = []
    for entry, keys in tables["training"].items():
        made = shop.record.steps[f"training.{entry}"]
        title = keys.get("title", f"Errors: {entry}")
        rows = [_training_row(row, tables, published) for row in _numbers(shop, made)]
        sections.append(_section(shop, f"training-{entry}", title, made, rows))
    for entry, keys in tables["explanations"].items():
        made = shop.record.steps[f"explanations.{entry}"]
        method = keys["method"]
        rows = [] if method in _FIGURES_ALONE else _numbers(shop, made)
        if method == "tags":
            rows = [_tag_row(row, removals) for row in rows]
        if method == "groups":
            rows = [_group_row(row) for row in rows]
        title = keys.get("title", f"{_TITLES[method]}: {entry}")
        sections.append(_section(shop, f"explanation-{entry}", title, made, rows))
    trees = _lineages(shop)
    with atomic_path(shop.folder / LINEAGE) as temporary:
        temporary.write_text(json.dumps(trees, ensure_ascii=False, indent=1) + "\n", "utf-8")
    write_page(
        "study.html",
        shop.folder / NAME,
        study=study,
        fingerprint=shop.record.fingerprint,
        store=shop.store.uri,
        version=metadata.version("materials-featurestore"),
        sections=sections,
        steps=[
            (name, made, _what(made)) for name, made in shop.record.steps.items() if made.output
        ],
        trees=trees,
        published=bool(published),
    )
    return Output({"sections": len(sections)}, files=[NAME, LINEAGE])


def _numbers(shop: Workshop, made: Made) -> list[dict[str, Any]]:
    name = next(name for name in made.files if name.endswith(".json"))
    return list(read_json(shop.folder / name, ROWS_SIZE))


def _section(
    shop: Workshop, anchor: str, title: str, made: Made, rows: Sequence[dict[str, Any]]
) -> Section:
    columns, shared, cells = _varying(rows)
    return Section(
        anchor=anchor,
        title=title,
        notes=made.notes,
        shared=shared,
        columns=columns,
        rows=cells[:_MOST_ROWS],
        figures=[
            (_of_what(anchor, name), _embedded(shop.folder / name))
            for name in made.files
            if name.endswith(".png")
        ],
        numbers=next((name for name in made.files if name.endswith(".csv")), ""),
        left_out=max(len(cells) - _MOST_ROWS, 0),
    )


def _varying(
    rows: Sequence[dict[str, Any]],
) -> tuple[tuple[Column, ...], str, list[list[Any]]]:
    """The columns in which rows differ, what they have in common, and the cells."""
    if not rows:
        return (), "", []
    names = [name for name in rows[0] if any(row.get(name) is not None for row in rows)]
    varying = [
        name for name in names if len(rows) == 1 or len({repr(row.get(name)) for row in rows}) > 1
    ]
    shared = "; ".join(
        f"{name.replace('_', ' ')} {_said(rows[0][name])}" for name in names if name not in varying
    )
    columns = tuple(
        Column(
            name.replace("_", " "),
            all(isinstance(row.get(name), int | float | None) for row in rows),
        )
        for name in varying
    )
    return columns, shared, [[row.get(name) for name in varying] for row in rows]


def _said(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _training_row(
    row: dict[str, Any], tables: Any, published: Sequence[Published]
) -> dict[str, Any]:
    error = "mae" if row.get("test_mae") is not None else "brier"
    kind, source = kind_of_features(tables, row["features"])
    beside = [
        one
        for one in published
        if kind
        and (one.property, one.features) == (row["property"], kind)
        and one.text_source in ("", source)
    ]
    return {
        "property": row["property"],
        "unit": row["unit"],
        "features": row["features"],
        "predictor": row["predictor"],
        "train": row["n_train"],
        "test": row["n_test"],
        "seeds": row["seeds"],
        error.upper() if error == "mae" else "Brier score": row.get(f"test_{error}"),
        "± over seeds": row.get(f"test_{error}_std"),
        "95 % from": row.get(f"test_{error}_low"),
        "to": row.get(f"test_{error}_high"),
        "gain over the first features": row.get("set_gain"),
        "p after Holm": row.get("set_gain_p_holm"),
        "published": "; ".join(f"{one.model} {one.test_mae:g}" for one in beside) or None,
        "published train / test": "; ".join(dict.fromkeys(map(_counts, beside))) or None,
    }


def _counts(one: Published) -> str:
    return " / ".join("not said" if n is None else f"{n:,}" for n in (one.n_train, one.n_test))


def _tag_row(row: dict[str, Any], removals: Any) -> dict[str, Any]:
    # A tag that no text has changes nothing that could be measured.
    full, difference = row.get("mae_full"), row.get("difference")
    ours = 100 * difference / full if full and difference is not None else None
    theirs = change(removals, row["property"], row["text_source"], row["tag"])
    kept = ("property", "text_source", "features", "predictor", "subset", "tag", "n", "n_with_tag")
    return {name: row.get(name) for name in kept} | {
        "MAE full": full,
        "change": difference,
        "95 % from": row.get("low"),
        "to": row.get("high"),
        "p after Holm": row.get("p_holm"),
        "random sentences": row.get("control"),
        "change %": ours,
        "published change %": None if theirs is None else 100 * theirs,
    }


def _group_row(row: dict[str, Any]) -> dict[str, Any]:
    """The same with features and predictor apart: rows often have the latter in common."""
    features, _, predictor = str(row["model"]).partition(", ")
    told: dict[str, Any] = {}
    for name, value in row.items():
        told |= {"features": features, "predictor": predictor} if name == "model" else {}
        told |= {_HEADINGS.get(name, name): value} if name != "model" else {}
    return told


def _of_what(anchor: str, name: str) -> str:
    """The property or material that a figure's file is called by; empty where it is of all."""
    entry = anchor.replace("-", "_", 1)
    of = Path(name).stem.removeprefix(entry).lstrip("_")
    material = _OF_MATERIAL.search(of)
    return material[1] if material else property_title(of).replace("_", " ")


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _what(made: Made) -> str:
    """What a step has made, in a line."""
    output = made.output
    for key in ("encoder", "generator", "feature_set"):
        if key in output:
            return str(output[key])
    if "models" in output:
        return f"{len(output['models'])} models"
    if "splits" in output:
        return ", ".join(f"{row['property']}: {row['n']:,}" for row in output["folds"])
    if "state" in output:
        state = output["state"]
        n, targets = state["materials"]["n"], state["targets"]["n"]
        return f"{n:,} materials, {targets:,} targets in the store"
    return ", ".join(made.files[:1])


def _lineages(shop: Workshop) -> list[dict[str, Any]]:
    """The lineage of a model of each group: its seeds differ in nothing else."""
    groups = [
        group
        for name, made in shop.record.steps.items()
        if name.startswith("training.")
        for group in made.output["groups"]
    ]
    firsts = dict.fromkeys(group["models"][0] for group in groups)
    with shop.store.session() as session:
        return [as_json(model_lineage(session, model)) for model in firsts]
