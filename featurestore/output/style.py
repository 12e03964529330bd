"""The style of all figures: one palette, one frame, one size of letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

#: Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: The same with four of Tol's muted scheme, for more categories than that.
MANY_COLOURS = (*COLOURS, "#882255", "#999933", "#332288", "#AA4499")
GREY = "#8c8c8c"
FAINT = "#e4e4e4"
#: What runs from little to much, and the letters below it.
SEQUENTIAL = "viridis"
SMALL = 8

_SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    # Names of properties and models may hold dollar signs.
    "text.parse_math": False,
    # Letters of a PDF can be searched, copied and edited; journals ask for it.
    "pdf.fonttype": 42,
    # The same figure is the same file.
    "svg.hashsalt": "featurestore",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """What is drawn or saved inside looks like the figures of this package."""
    from matplotlib import rc_context, rcParamsDefault

    # Whatever the caller's own style is, and without touching it or the backend.
    plain = {name: value for name, value in rcParamsDefault.items() if "backend" not in name}
    with rc_context(plain | _SETTINGS):
        yield


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """A function that draws, in the style of all figures."""

    @wraps(draw)
    def drawn(*args: P.args, **given: P.kwargs) -> T:
        with figure_style():
            return draw(*args, **given)

    return drawn


def new_figure(width: float, height: float, models: Iterable[str] = ()) -> Figure:
    """An empty figure that lays itself out.

    Parameters
    ----------
    width, height : float
        In inches.
    models : iterable of str
        The ids of the models that it will show; its file names them.
    """
    from featurestore.output.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    figure.models = tuple(models)
    return figure


def along_x(axes: Any, *, axis: bool = True) -> None:
    """Style axes on which values run to the right and each line stands for something.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Before texts get other sizes.
    axis : bool
        Whether the y axis is drawn.
    """
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    if not axis:
        axes.spines["left"].set_visible(False)


def whole_numbers(axis: Any) -> None:
    """Put ticks on whole numbers only, as counts have them."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def plain_logarithm(axis: Any) -> None:
    """Label a logarithmic axis as 0.05, 0.1, 0.2 and 1, with so many as there is room for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def figure_note(axes: Any, text: str) -> None:
    """What a reader should know of a panel, small, in its lower right corner."""
    axes.annotate(
        text,
        (1, 0),
        xycoords="axes fraction",
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        color="#555555",
        zorder=5,
    )


def robust_limits(values: npt.NDArray[np.float64], reach: float = 0.5) -> tuple[float, float]:
    """Ends of an axis that a few outliers do not push away.

    All values where they lie within ``reach`` times the width of the middle 98 % (of fewer than
    100 all but the least and the largest) on either side of it; else up to there. A margin is
    added.

    Parameters
    ----------
    values : ndarray, shape (n,), float64
        Finite; at least one.
    reach : float
        See above.

    Returns
    -------
    low, high : float
    """
    ordered = np.sort(values)
    trimmed = max(1, len(ordered) // 100) if len(ordered) > 4 else 0
    low, high = float(ordered[trimmed]), float(ordered[len(ordered) - 1 - trimmed])
    most = reach * (high - low) or np.inf
    low, high = max(ordered[0], low - most), min(ordered[-1], high + most)
    margin = 0.04 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def density(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], bins: int = 60
) -> npt.NDArray[np.float64]:
    """How many points stand near each point: shape (n,), float64.

    Counts in the cells of a grid over the points, each averaged with its eight neighbours.
    """
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=bins)
    padded = np.pad(counts, 1)
    shifted = [padded[i : i + bins, j : j + bins] for i in range(3) for j in range(3)]
    near = np.mean(shifted, axis=0)
    at = [
        np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
        for edges, values in ((x_edges, x), (y_edges, y))
    ]
    return np.asarray(near[at[0], at[1]], np.float64)
