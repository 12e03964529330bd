"""A pickle that acts when it is loaded."""

from __future__ import annotations

import os
from pathlib import Path


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))
