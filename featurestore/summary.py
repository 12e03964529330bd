"""The glance at a store: a few counted lines for each kind of thing in it."""

from __future__ import annotations

from typing import Any

from featurestore.overview import Row, overview
from featurestore.session import Session

_NONE = ["none yet"]


def summarise(session: Session) -> list[tuple[str, list[str]]]:
    """Titles, each with the lines below it."""
    found = overview(session)
    forecasts = [_forecast(row) for row in found["forecasts"]]
    return [
        ("Materials", [_material(row) for row in found["materials"]] or _NONE),
        ("Properties", [_property(row) for row in found["properties"]] or _NONE),
        ("Splits", [_split(row) for row in found["splits"]] or _NONE),
        ("Texts", [_text(row) for row in found["texts"]] or _NONE),
        ("Encoders", [_encoder(row) for row in found["encoders"]] or _NONE),
        ("Models", [_model(row) for row in found["models"]] or _NONE),
        *([("Forecasts", forecasts)] if forecasts else []),
        ("Failures", [_failure(row) for row in found["failures"]] or ["none"]),
        ("Last runs", [_run(row) for row in found["runs"]] or _NONE),
    ]


def _material(row: Row) -> str:
    return (
        f"{row['dataset']}: {row['materials']:,} materials, {row['structures']:,} distinct "
        f"structures, median {row['median_atoms']} atoms, at most {row['most_atoms']}"
    )


def _property(row: Row) -> str:
    if row["classes"] is not None:
        said = ", ".join(f"{count} {name}" for name, count in row["classes"].items())
    else:
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        said = f"{row['low']:.4g} to {row['high']:.4g}{unit}, mean {row['mean']:.4g}"
    return f"{row['property']}: {row['values']:,} values, {said} ({row['source']})"


def _split(row: Row) -> str:
    begin = f"{row['split']}, {row['property'] or 'all materials'}: "
    if row["kind"] == "split":
        return begin + f"{row['train']:,} train, {row['val']:,} val, {row['test']:,} test"
    sizes = row["tests"]
    kind = f"cross-validation of {len(sizes)} splits, {sum(sizes):,} materials"
    if row["kind"] == "leave-out":
        kind = f"{len(sizes)} splits that each leave something out,"
    return begin + f"{kind} in tests of {_range(sizes)}"


def _range(sizes: list[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _text(row: Row) -> str:
    return (
        f"{row['generator_id']}: {row['sentences']:,} sentences of {row['structures']:,} structures"
    )


def _encoder(row: Row) -> str:
    parts = "+".join(map(str, row["segments"].values()))
    return (
        f"{row['encoder_id']} ({row['kind']}): {row['vectors']:,} vectors of {row['dimension']}"
        + (f" = {parts}" if "+" in parts else "")
    )


def _model(row: Row) -> str:
    return f"{row['property']}: {row['models']} by {row['predictor']}"


def _forecast(row: Row) -> str:
    return (
        f"{row['property']}: {row['forecasts']:,} of {row['materials']:,} materials, by "
        f"{row['models']} " + ("model" if row["models"] == 1 else "models")
    )


def _failure(row: Row) -> str:
    return (
        f"{row['stage']} {row['context']}: {row['failures']:,} × {row['error']}, for example "
        f"{row['example']}"
    )


def _run(row: Row) -> str:
    said = f"{row['started_at']:%Y-%m-%d %H:%M} {row['command']}: {row['status']}"
    if row["seconds"] is None:
        return said
    counts = "".join(f", {name} {_counted(n)}" for name, n in row["counts"].items())
    return f"{said} after {row['seconds']:.0f} s{counts}"


def _counted(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
