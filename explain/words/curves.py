"""Erasing more and more words: comprehensiveness and sufficiency, and what they average to (AOPC).

DeYoung et al., ERASER, ACL 2020, section 4: take the words that an explanation ranks highest, 1, 5,
10, 20 and 50 % of them. *Comprehensiveness* is how far the prediction moves when they are erased,
*sufficiency* how far when all others are. The mean over the five shares is the area over the
perturbation curve (AOPC; Samek et al., IEEE TNNLS 28, 2660, 2017). ERASER looks at the probability
of a class; a regression has none, so that both are absolute changes of the prediction here. A good
ranking has a higher comprehensiveness and a lower sufficiency than a random order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explain.words.description import Description

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
MEASURES = ("comprehensiveness", "sufficiency")


@dataclass(frozen=True)
class Curve:
    """One measure along the shares, for the ranking and for random orders.

    Parameters
    ----------
    measure : {"comprehensiveness", "sufficiency"}
        What was erased: the first words of the order, or all others.
    ranked : ndarray, shape (seeds, shares), float64
        Absolute changes of the prediction, in the unit of the property.
    random : ndarray, shape (orders, seeds, shares), float64
        Likewise for random orders.
    """

    measure: str
    ranked: npt.NDArray[np.float64]
    random: npt.NDArray[np.float64]

    @property
    def aopc(self) -> float:
        """Mean over shares and seeds for the ranking."""
        return float(self.ranked.mean())

    @property
    def aopc_std(self) -> float | None:
        """Sample standard deviation of it over the seeds; None for a single one."""
        of_seeds = self.ranked.mean(axis=1)
        return float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None

    @property
    def random_aopcs(self) -> npt.NDArray[np.float64]:
        """The same for each random order: shape (orders,)."""
        return np.asarray(self.random.mean(axis=(1, 2)))


def top(order: Sequence[int], share: float) -> tuple[int, ...]:
    """The first words of an order, in the order of the text: at least one, rounded up.

    >>> top([4, 0, 2, 1, 3], 0.5)
    (0, 2, 4)
    """
    # 0.05 * 20 is slightly above 1 in floating point; it means one word
    return tuple(sorted(order[: max(math.ceil(round(share * len(order), 9)), 1)]))


def ranking(contributions: npt.NDArray[np.float64]) -> list[int]:
    """Places of the words, the largest absolute contribution first, ties as in the text."""
    return np.argsort(-np.abs(contributions), kind="stable").tolist()


def random_orders(n: int, orders: int, seed: int) -> list[list[int]]:
    """So many random orders of n words."""
    generator = np.random.default_rng(seed)
    return [generator.permutation(n).tolist() for _ in range(orders)]


def curve_variants(
    description: Description, order: Sequence[int], erasure: str
) -> dict[tuple[str, float], str]:
    """The text variants that an order needs, by measure and share.

    Deletion keeps the words of a rationale by ``only:word:…``; masking masks all others.
    """
    n = len(description.words)
    found = {}
    for share in SHARES:
        first = top(order, share)
        others = tuple(sorted(set(range(n)) - set(first)))
        if erasure == "deletion":
            found["comprehensiveness", share] = f"without:word:{_joined(first)}"
            found["sufficiency", share] = f"only:word:{_joined(first)}"
        else:
            found["comprehensiveness", share] = f"mask:word:{_joined(first)}"
            found["sufficiency", share] = f"mask:word:{_joined(others)}" if others else "full"
    return found


def curves(
    ranked: Mapping[tuple[str, float], str],
    random: Sequence[Mapping[tuple[str, float], str]],
    changes: Mapping[str, npt.NDArray[np.float64]],
) -> tuple[Curve, ...]:
    """Both measures from the changes of the prediction.

    Parameters
    ----------
    ranked : mapping
        Variants of the ranking, as from `curve_variants`.
    random : sequence of mapping
        Likewise for each random order.
    changes : mapping of str to ndarray, shape (seeds,), float64
        Change of the prediction for each variant.
    """

    def of(variants: Mapping[tuple[str, float], str], measure: str) -> npt.NDArray[np.float64]:
        columns = [np.abs(changes[variants[measure, share]]) for share in SHARES]
        return np.stack(columns, axis=1)

    return tuple(
        Curve(measure, of(ranked, measure), np.stack([of(one, measure) for one in random]))
        for measure in MEASURES
    )


def curves_table(found: Sequence[Curve]) -> pa.Table:
    """A row for each measure and share, and one for the mean over the shares, the AOPC.

    Means over the seeds; of the random orders the mean, the least and the most.
    """
    rows = []
    for curve in found:
        ranked, random = curve.ranked.mean(axis=0), curve.random.mean(axis=1)
        lines = [(f"{100 * share:g} %", ranked[i], random[:, i]) for i, share in enumerate(SHARES)]
        lines.append(("AOPC", np.float64(curve.aopc), curve.random_aopcs))
        rows += [
            {
                "measure": curve.measure,
                "words": name,
                "ranked": float(value),
                "random": float(others.mean()),
                "random_least": float(others.min()),
                "random_most": float(others.max()),
                "random_orders": len(others),
                "seeds": len(curve.ranked),
            }
            for name, value, others in lines
        ]
    return pa.Table.from_pylist(rows)


def _joined(places: Sequence[int]) -> str:
    return ",".join(map(str, places))
