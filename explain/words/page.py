"""One material's explanation as a page: the coloured text, from tags to sentences to words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from explain.drawing.pages import Scale, scale, write_page
from explain.words.contributions import Contributions, caption
from explain.words.curves import SHARES, Curve
from explain.words.description import Sentence
from train.analysis.resampling import Estimate


@dataclass(frozen=True)
class Branch:
    """A tag or sentence with its contribution, None where that was not measured."""

    label: str
    contribution: float | None
    std: float | None
    sentences: tuple[Branch, ...] = ()
    sentence: Sentence | None = None


@dataclass(frozen=True)
class CurvePoint:
    """A measure at one share: the ranking against the random orders."""

    share: float
    ranked: float
    random: Estimate


def write_words_page(
    contributions: Sequence[Contributions], curves: Sequence[Curve], path: Path
) -> None:
    """Write what has been measured of one material's text.

    Parameters
    ----------
    contributions : sequence of Contributions
        Of different kinds of parts of the same text by the same erasure; at least one.
    curves : sequence of Curve
        May be empty.
    path : Path
        The HTML file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    of = {found.kind: found for found in contributions}
    finest = of.get("word") or of.get("number") or contributions[0]
    points = {curve.measure: _points(curve) for curve in curves}
    write_page(
        "words.html",
        path,
        first=contributions[0],
        caption=caption(contributions[0]),
        texts=[of[kind] for kind in ("word", "number", "sentence", "tag") if kind in of],
        finest=finest,
        branches=_branches(of, finest),
        scale=_scale(contributions),
        curves=curves,
        points=points,
        curve_scale=scale(
            [x for rows in points.values() for p in rows for x in (p.ranked, p.random.high)]
        ),
    )


def _scale(contributions: Sequence[Contributions]) -> Scale:
    return scale([part.mean for found in contributions for part in found.parts])


def _branches(of: dict[str, Contributions], finest: Contributions) -> list[Branch]:
    """The tags in the order of the text, each with its sentences."""
    tags = {part.unit.text: part for part in of["tag"].parts} if "tag" in of else {}
    by_place = of["sentence"].parts if "sentence" in of else ()
    found: dict[str, list[Branch]] = {}
    for place, sentence in enumerate(finest.description.sentences):
        part = by_place[place] if by_place else None
        found.setdefault(sentence.tag, []).append(
            Branch(
                sentence.text,
                part.mean if part else None,
                part.std if part else None,
                sentence=sentence,
            )
        )
    return [
        Branch(
            tag,
            tags[tag].mean if tag in tags else None,
            tags[tag].std if tag in tags else None,
            tuple(sentences),
        )
        for tag, sentences in found.items()
    ]


def _points(curve: Curve) -> list[CurvePoint]:
    """The mean over seeds; of the random orders the mean, the least and the most."""
    random = curve.random.mean(axis=1)
    return [
        CurvePoint(
            share,
            float(curve.ranked[:, i].mean()),
            Estimate(
                float(random[:, i].mean()), float(random[:, i].min()), float(random[:, i].max())
            ),
        )
        for i, share in enumerate(SHARES)
    ]
