"""One thing that could not be done for one material, as a value that a run counts and stores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why one item of a batch has no result.

    Parameters
    ----------
    error : str
        Class name of the error, for grouping.
    message : str
        What went wrong, in a sentence that names the culprit.
    """

    error: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that ``error`` stands for."""
        return cls(type(error).__name__, str(error) or type(error).__name__)
