"""What says why a forecast is what it is: declared here, done by the room that explains.

Nothing that predicts imports what explains. The explanation room registers a function under the
entry points ``featurestore.reasons``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import pyarrow as pa

from featurestore.plugins import loaded_alone
from featurestore.store import FeatureStore
from train.forecasts.forecast import Forecast
from train.forecasts.predictor import Predictor

GROUP = "featurestore.reasons"


class Reasons(Protocol):
    """The reasons of some forecasts."""

    def text(self) -> str:
        """For a terminal, a paragraph for each forecast that is explained."""
        ...

    def column(self) -> pa.Array:
        """A structure for each forecast, in their order; null for one that is not explained."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a reader should know."""
        ...


class GivesReasons(Protocol):
    """Explains forecasts while their materials are at hand."""

    def __call__(
        self, predictor: Predictor, place: FeatureStore, forecasts: Sequence[Forecast]
    ) -> Reasons:
        """Explain what `Predictor.predicting` has yielded."""
        ...


def gives_reasons() -> GivesReasons:
    """What the installed packages register.

    Raises
    ------
    FeatureStoreError
        If none is registered, or several are.
    """
    return cast(GivesReasons, loaded_alone(GROUP, "what gives reasons"))
