"""A matplotlib figure that knows the models it shows and displays itself in a notebook.

It needs no pyplot and no backend: nothing of the caller's matplotlib is changed.
"""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure as MatplotlibFigure

from featurestore.output.style import figure_style


class Figure(MatplotlibFigure):
    """See the module.

    Attributes
    ----------
    models : tuple of str
        The ids of the models that it shows.
    """

    models: tuple[str, ...] = ()

    def _repr_png_(self) -> bytes:
        """The figure as a notebook shows it."""
        stream = BytesIO()
        with figure_style():
            self.savefig(stream, format="png", bbox_inches="tight", dpi=110)
        return stream.getvalue()
