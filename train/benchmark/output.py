"""A benchmark as tables: every number in columns for programs, a few composed ones for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from math import isnan
from typing import Any

import click
import pyarrow as pa

from featurestore.output.labels import printed_unit
from featurestore.output.rows import print_table
from featurestore.views.request import FOLDS
from train.analysis.resampling import Estimate
from train.benchmark.published import Published
from train.benchmark.rows import BenchmarkRow, Comparison
from train.display.labels import predictor_label
from train.display.rounding import spread_of_seeds
from train.tasks.columns import errors_of, measured_of, measures_of

_STRINGS = (
    "property",
    "split",
    "features",
    "text_source",
    "structure_encoder",
    "text_encoder",
    "predictor",
)
# The comparisons of a row, with what they say something about.
_KINDS = {
    "text_gain": "Text",
    "set_gain": "Another feature set",
    "predictor_gain": "Another predictor",
}
#: Of the metrics of classes those that people are shown.
_SHOWN = ("auc", "accuracy", "ece")
_ESTIMATED = ("", "_std", "_low", "_high")
_COMPARED = ("", "_low", "_high", "_p", "_p_holm")


def benchmark_table(rows: Sequence[BenchmarkRow], published: Sequence[Published] = ()) -> pa.Table:
    """All numbers, one row for each set of models that differ only by their seed.

    ``test_mae`` and what derives from it are in ``unit``; ``seconds`` is the time of training one
    seed, ``coverage_90`` the share of test targets in the 90 % intervals of a predictor that has
    them. Of a property of classes ``test_brier`` and so on are in the place of ``test_mae``, with
    the other metrics, and ``set_size_90`` beside. ``text_gain``, ``set_gain`` and
    ``predictor_gain`` are NULL where a row has nothing to be compared with.
    """
    fields = [pa.field(name, pa.string()) for name in _STRINGS]
    fields += [pa.field(name, pa.int64()) for name in (*[f"n_{fold}" for fold in FOLDS], "seeds")]
    models = [row.models.first for row in rows]
    measured = [
        name
        for error in errors_of(models)
        for name in (*[f"test_{error}{suffix}" for suffix in _ESTIMATED], f"val_{error}")
    ]
    beside = [f"test_{name}" for name in measures_of(models)]
    measured += [*beside, "seconds", "coverage_90", *(["set_size_90"] if beside else [])]
    fields += [pa.field(name, pa.float64()) for name in measured]
    for kind in _KINDS:
        fields.append(pa.field(f"{kind}_over", pa.string()))
        fields += [pa.field(kind + suffix, pa.float64()) for suffix in _COMPARED]
        fields += [pa.field(f"{kind}_seeds{suffix}", pa.int64()) for suffix in ("", "_better")]
    fields += [pa.field("published", pa.string()), pa.field("unit", pa.string())]
    return pa.Table.from_pylist([_numbers(row, published) for row in rows], pa.schema(fields))


def print_benchmark(
    rows: Sequence[BenchmarkRow], output_format: str, published: Sequence[Published] = ()
) -> None:
    """Print the rows; as ``table`` and ``markdown`` a table for each property."""
    if output_format not in ("table", "markdown"):
        print_table(benchmark_table(rows, published), output_format)
        return
    for number, (_, group) in enumerate(groupby(rows, key=lambda row: row.cell.request.property)):
        if number:
            click.echo()
        _print_property(list(group), published, output_format)
    for sentence in verdicts(rows):
        click.echo(f"\n{sentence}")


def verdicts(rows: Sequence[BenchmarkRow]) -> list[str]:
    """One sentence for each kind of comparison: how many gains and losses stand out."""
    sentences = []
    for kind, subject in _KINDS.items():
        found: list[Comparison] = [getattr(row, kind) for row in rows if getattr(row, kind)]
        if found:
            clear = [c for c in found if c.p_corrected < 0.05]
            helps = sum(c.difference.gain.value > 0 for c in clear)
            sentences.append(
                f"{subject} helps in {helps} of {len(found)} comparisons and hurts in "
                f"{len(clear) - helps}, at p < 0.05 after Holm's correction for all {len(found)}; "
                f"in the other {len(found) - len(clear)} the difference does not stand out."
            )
    return sentences


def features_name(row: BenchmarkRow) -> str:
    """Features with the text source: ``structure + chemnlp``."""
    if row.cell.request.feature_set is not None:
        return row.features
    parts = row.features.split("+")
    source = str(row.models.first.text_source)
    return " + ".join(source if part == "text" else part for part in parts)


def published_beside(row: BenchmarkRow, published: Sequence[Published]) -> list[Published]:
    """What is published for the features of a row; nothing for a constant."""
    if row.features == "none":
        return []
    return [entry for entry in published if entry.stands_beside(row.cell.request)]


def short(value: float) -> str:
    """Four significant digits, as errors are printed."""
    return "–" if isnan(value) else f"{value:#.4g}".rstrip(".")


def _print_property(
    rows: Sequence[BenchmarkRow], published: Sequence[Published], output_format: str
) -> None:
    first = rows[0]
    request, task = first.cell.request, first.models.first.task
    unit = task.error_unit
    sizes = " / ".join(f"{first.fold_sizes[fold]:,}" for fold in FOLDS)
    shown_unit = "" if unit == "1" else f" in {printed_unit(unit)}"
    caption = (
        f"{request.property}: test {task.error_name}{shown_unit}, split {request.split}, "
        f"{sizes} materials (train / val / test)"
    )
    columns: dict[str, Callable[[BenchmarkRow], str]] = {
        "features": features_name,
        "structure encoder": lambda row: _of_kind(row, "structure"),
        "text encoder": lambda row: _of_kind(row, "text"),
        "predictor": lambda row: predictor_label(row.models.first),
        "seeds": lambda row: str(len(row.models)),
        f"{task.error_name} ± std": _error,
        "95 % interval": lambda row: _interval(row.test_error),
        **{name: partial(_measure, f"test_{name}") for name in _SHOWN if name in task.beside},
        "text gains": lambda row: _gain(row.text_gain),
        "p": lambda row: _p(row.text_gain),
        f"over {_reference_set(rows)}": lambda row: _gain(row.set_gain),
        "p  ": lambda row: _p(row.set_gain),
        "over the first predictor": lambda row: _gain(row.predictor_gain),
        "p ": lambda row: _p(row.predictor_gain),
        "seconds": lambda row: f"{row.seconds:.3g}",
        "published": lambda row: _published(row, published),
    }
    cells = {name: [cell(row) for row in rows] for name, cell in columns.items()}
    for name in ("structure encoder", "text encoder"):
        # Named below the caption where all rows that have one have the same.
        kinds = set(cells[name]) - {""}
        if len(kinds) == 1:
            del cells[name]
            caption += f"; {name} {kinds.pop()}"
    cells = {name: values for name, values in cells.items() if any(values)}
    if output_format == "markdown":
        click.echo(f"**{caption}**\n")
        _print_markdown(cells)
    else:
        click.echo(f"{caption}\n")
        print_table(pa.table(cells))


def _reference_set(rows: Sequence[BenchmarkRow]) -> str:
    """The feature set with which others are compared."""
    return next((row.set_gain.baseline for row in rows if row.set_gain is not None), "")


def _print_markdown(cells: dict[str, list[str]]) -> None:
    names = [name.strip() for name in cells]
    click.echo(f"| {' | '.join(names)} |")
    click.echo(f"|{'---|' * len(names)}")
    for row in zip(*cells.values(), strict=True):
        click.echo("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")


def _of_kind(row: BenchmarkRow, kind: str) -> str:
    p = row.models.parameters
    if row.features == "none":
        return ""
    return (p.structure_encoder if kind == "structure" else p.text_encoder) or ""


def _error(row: BenchmarkRow) -> str:
    spread = spread_of_seeds(row.test_error.value, row.test_error_std)
    if spread == "deterministic":
        return f"{short(row.test_error.value)}, {spread}"
    return short(row.test_error.value) + (f" ± {spread}" if spread else "")


def _measure(name: str, row: BenchmarkRow) -> str:
    value = measured_of(row.models)[name]
    return "–" if value is None else short(value)


def _interval(estimate: Estimate) -> str:
    if isnan(estimate.low):
        return "–"
    return f"{short(estimate.low)} to {short(estimate.high)}"


def _gain(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    gain = comparison.difference.gain
    return (
        f"{gain.value:+.3g} ({gain.low:+.3g} to {gain.high:+.3g}), "
        f"{comparison.seeds_better}/{comparison.seeds} seeds"
    )


def _p(comparison: Comparison | None) -> str:
    return "" if comparison is None else f"{comparison.p_corrected:.2g}"


def _published(row: BenchmarkRow, published: Sequence[Published]) -> str:
    found = published_beside(row, published)
    return ", ".join(f"{entry.test_mae:g} ({entry.model})" for entry in found)


def _numbers(row: BenchmarkRow, published: Sequence[Published]) -> dict[str, Any]:
    model, request = row.models.first, row.cell.request
    looks = row.features != "none"
    numbers: dict[str, Any] = {
        "property": request.property,
        "split": request.split,
        "features": row.features,
        "text_source": model.text_source if looks else None,
        "structure_encoder": model.parameters.structure_encoder if looks else None,
        "text_encoder": model.parameters.text_encoder if looks else None,
        "predictor": predictor_label(model),
        **{f"n_{fold}": n for fold, n in row.fold_sizes.items()},
        "seeds": len(row.models),
        **dict(
            zip(
                [f"test_{model.task.error}{suffix}" for suffix in _ESTIMATED],
                (
                    row.test_error.value,
                    row.test_error_std,
                    row.test_error.low,
                    row.test_error.high,
                ),
                strict=True,
            )
        ),
        f"val_{model.task.error}": row.val_error,
        **measured_of(row.models),
        "seconds": row.seconds,
        "coverage_90": row.coverage_90,
        "set_size_90": row.set_size_90,
        "published": _published(row, published) or None,
        "unit": model.parameters.unit,
    }
    for kind in _KINDS:
        comparison: Comparison | None = getattr(row, kind)
        if comparison is not None:
            gain = comparison.difference.gain
            values = (
                gain.value,
                gain.low,
                gain.high,
                comparison.difference.p,
                comparison.p_corrected,
            )
            numbers |= {
                f"{kind}{suffix}": value for suffix, value in zip(_COMPARED, values, strict=True)
            }
            numbers |= {
                f"{kind}_over": comparison.baseline,
                f"{kind}_seeds": comparison.seeds,
                f"{kind}_seeds_better": comparison.seeds_better,
            }
    return numbers
