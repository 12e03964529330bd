"""Where everything of a material came from, as a picture: boxes in columns, joined by lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from explain.explore.material import Material

_WIDTH, _HEIGHT, _ACROSS, _DOWN = 200, 44, 56, 12
_MOST = 6


@dataclass(frozen=True)
class Box:
    """A box of the picture, in its units; ``run`` is the command that made it."""

    title: str
    name: str
    run: str
    x: int
    y: int


@dataclass(frozen=True)
class Picture:
    """Boxes and the lines between them, (x1, y1, x2, y2)."""

    boxes: tuple[Box, ...]
    lines: tuple[tuple[int, int, int, int], ...]
    width: int
    height: int


def picture(of: Material) -> Picture:
    """Source file, structure, texts and values, vectors, predictions; from left to right."""
    kinds = [
        [("source file", of.row["source_file"], "")],
        [("structure", of.row["structure_id"][:12], _run_of(of, "structure"))],
        [*_boxes(of, "text"), *_values(of)],
        [*_boxes(of, "structure vector"), *_boxes(of, "text vector")],
        _predictions(of),
    ]
    columns = [column for column in kinds if column]
    tallest = max(map(len, columns))
    placed: list[list[Box]] = []
    for number, column in enumerate(columns):
        free = (tallest - len(column)) * (_HEIGHT + _DOWN) // 2
        placed.append(
            [
                Box(title, name, run, number * (_WIDTH + _ACROSS), free + i * (_HEIGHT + _DOWN))
                for i, (title, name, run) in enumerate(column)
            ]
        )
    boxes = tuple(box for column in placed for box in column)
    return Picture(
        boxes,
        tuple(_lines(boxes)),
        len(columns) * (_WIDTH + _ACROSS) - _ACROSS,
        tallest * (_HEIGHT + _DOWN) - _DOWN,
    )


#: Which kinds of boxes a kind is made from.
_FROM = {
    "structure": ("source file",),
    "text": ("structure",),
    "values": ("source file",),
    "structure vector": ("structure",),
    "text vector": ("text",),
    "predictions": ("structure vector", "text vector", "values"),
}


def _lines(boxes: tuple[Box, ...]) -> list[tuple[int, int, int, int]]:
    lines = []
    for box in boxes:
        for source in boxes:
            if source.title in _FROM.get(box.title, ()):
                lines.append(
                    (source.x + _WIDTH, source.y + _HEIGHT // 2, box.x, box.y + _HEIGHT // 2)
                )
    return lines


def _run_of(of: Material, kind: str) -> str:
    return next((one.command for one in of.made if one.kind == kind), "")


def _boxes(of: Material, kind: str) -> list[tuple[str, str, str]]:
    return [(kind, one.what, one.command) for one in of.made if one.kind == kind][:_MOST]


def _values(of: Material) -> list[tuple[str, str, str]]:
    names = [one.what for one in of.made if one.kind == "value"]
    if not names:
        return []
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} others" if len(names) > 2 else "")
    return [("values", shown, _run_of(of, "value"))]


def _predictions(of: Material) -> list[tuple[str, str, str]]:
    runs = Counter(one.command for one in of.made if one.kind == "prediction")
    if not runs:
        return []
    n = sum(runs.values())
    return [("predictions", f"of {n} model{'' if n == 1 else 's'}", next(iter(runs)))]
