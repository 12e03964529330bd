"""How well probabilities tell a class from the others: the ROC curve, and its area's interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from train.analysis.resampling import LEVEL, Estimate

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def area_estimate(inside: Flags, scores: Floats) -> Estimate | None:
    """The area under the ROC curve with its 95 % interval by DeLong's method.

    DeLong, DeLong and Clarke-Pearson, Biometrics 1988, 44, 837; by the midranks of Sun and Xu, IEEE
    Signal Process. Lett. 2014, 21, 1389. The interval is cut at 0 and 1.

    Parameters
    ----------
    inside : ndarray, shape (n,), bool
        Which of n materials are of the class.
    scores : ndarray, shape (n,), float64
        Its probabilities.

    Returns
    -------
    Estimate or None
        None where all or no materials are of the class. Without bounds (NaN) where one side has a
        single material, or the area is 1 or 0, where the method knows no spread.
    """
    from scipy.stats import norm, rankdata

    of, others = scores[inside], scores[~inside]
    m, n = len(of), len(others)
    if not m or not n:
        return None
    ranks = rankdata(np.concatenate([of, others]))
    # for each material of the class how many others it is above, and the other way round
    above = (ranks[:m] - rankdata(of)) / n
    below = 1 - (ranks[m:] - rankdata(others)) / m
    area = float(above.mean())
    if min(m, n) < 2 or area in (0.0, 1.0):
        return Estimate(area, math.nan, math.nan)
    spread = math.sqrt(float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n)
    half = float(norm.ppf((1 + LEVEL) / 2)) * spread
    return Estimate(area, max(area - half, 0.0), min(area + half, 1.0))


def share_estimate(hits: float, n: int) -> Estimate:
    """A share with Wilson's 95 % score interval (J. Am. Stat. Assoc. 1927, 22, 209).

    ``hits`` are those of ``n``, or their mean over several seeds.

    >>> share_estimate(10, 10).high
    1.0
    """
    from scipy.stats import norm

    if not n:
        return Estimate(math.nan, math.nan, math.nan)
    z, share = float(norm.ppf((1 + LEVEL) / 2)), hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(share, max(middle - half, 0.0), min(middle + half, 1.0))


def roc_points(inside: Flags, scores: Floats, most: int = 200) -> list[tuple[float, float]]:
    """False and true positive rates from (0, 0) to (1, 1), at most so many of them.

    Corners between two others on a line are left out; of more the nearest to equal steps along the
    curve are kept.
    """
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(inside, scores, drop_intermediate=True)
    if len(false) > most:
        along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(false), np.diff(true)))])
        steps = np.linspace(0.0, along[-1], most)
        kept = np.unique(np.clip(np.searchsorted(along, steps), 0, len(along) - 1))
        false, true = false[kept], true[kept]
    return [(float(x), float(y)) for x, y in zip(false, true, strict=True)]
