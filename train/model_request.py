"""Which stored models a command is about: those that are named, or all that match."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelRequest:
    """Names of models, or what holds for them.

    Parameters
    ----------
    names : tuple of str
        Model ids or their beginnings; nothing else is asked then.
    property, split : str, optional
        What the models were trained on.
    where : str, optional
        SQL condition over the columns of ``models`` and ``text_source``, as
        ``predictor = 'mlp' AND seed < 3``.
    """

    names: tuple[str, ...] = ()
    property: str | None = None
    split: str | None = None
    where: str | None = None

    def __str__(self) -> str:
        """What is asked for, in words: empty if nothing is."""
        said = [
            *self.names,
            *([f"property {self.property!r}"] if self.property else []),
            *([f"split {self.split!r}"] if self.split else []),
            *([self.where] if self.where else []),
        ]
        return " and ".join(said)
