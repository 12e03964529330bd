"""Progress that says nothing, and one that ends a training as a kill would."""

from __future__ import annotations


class Silent:
    def update(self, done: int = 1) -> None:
        pass


class Interrupt(Silent):
    """Raises KeyboardInterrupt once so many epochs are done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def update(self, done: int = 1) -> None:
        self.left -= done
        if self.left == 0:
            raise KeyboardInterrupt
