"""Every promise in docs/guarantees.md names files and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_is_cited_exists():
    promises = [
        line
        for line in (ROOT / "docs" / "guarantees.md").read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| promise")
    ]
    assert len(promises) > 15
    for line in promises:
        shown = line.rsplit("|", 2)[1]
        files = re.findall(r"`((?:featurestore|tests|benchmarks)/[\w/]+\.py)`", shown)
        assert files or shown.strip() == "likewise" or shown.strip().startswith("likewise"), line
        source = "".join((ROOT / file).read_text("utf-8") for file in files)
        for name in re.findall(r"`(test_\w+)`", shown):
            assert f"def {name}(" in source, (name, files)
