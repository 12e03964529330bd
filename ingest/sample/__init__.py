"""A bundled sample of real JARVIS-DFT materials, in the format of the published archive."""

from __future__ import annotations

from pathlib import Path


def sample_archive() -> Path:
    """The path of the bundled archive; README.md beside it says where the data come from."""
    return Path(__file__).with_name("jarvis_sample.json.zip")
