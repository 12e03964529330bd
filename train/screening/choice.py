"""How candidates are chosen: by which rule, how many, and of each family at most."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.errors import InvalidInputError
from train.screening.names import PROBABILITY

BUDGET = 10


@dataclass(frozen=True)
class Choice:
    """What decides which candidates are chosen.

    Parameters
    ----------
    budget : int
        How many at most.
    acquire : str or None
        An acquisition rule of `train.screening.names.RULES`, for a batch to calculate or measure
        next: candidates of which every wanted property is known are then not chosen. None: the best
        by probability, known ones among them.
    per_prototype : int or None
        At most so many with the same composition prototype and space group.
    per_chemsys : int or None
        At most so many of the same elements.
    inside : bool
        Whether candidates outside the domain of a model are left out.
    predict_known : bool
        Whether predictions count even where the store knows the value.

    Raises
    ------
    InvalidInputError
        If a number is below 1.
    """

    budget: int = BUDGET
    acquire: str | None = None
    per_prototype: int | None = None
    per_chemsys: int | None = None
    inside: bool = False
    predict_known: bool = False

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise InvalidInputError(
                f"a budget of {self.budget} materials chooses nothing; make it 1 or more"
            )
        for name in ("per_prototype", "per_chemsys"):
            most = getattr(self, name)
            if most is not None and most < 1:
                raise InvalidInputError(f"{name} of {most} chooses nothing; make it 1 or more")

    @property
    def rule(self) -> str:
        """The rule that ranks."""
        return self.acquire or PROBABILITY
