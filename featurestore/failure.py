"""One thing that could not be done for one material, as a value that a run counts and stores."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.messages import storable


@dataclass(frozen=True)
class Failure:
    """Why one item of a batch has no result.

    Parameters
    ----------
    error : str
        Class name of the error, for grouping.
    message : str
        What went wrong, in a sentence that names the culprit; it may quote anything.
    """

    error: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", storable(self.message))

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that ``error`` stands for."""
        return cls(type(error).__name__, str(error) or type(error).__name__)
