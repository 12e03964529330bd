"""What has no forecast is named."""

from __future__ import annotations

import pytest

from featurestore.failure import Failure
from train.cli.failures import print_failures


def test_ten_of_a_reason_are_named_and_the_others_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = {f"bad-{i}": Failure("UnreadableFileError", f"file {i} is no structure") for i in (1, 2)}
    many = {f"Og-{i}": Failure("InvalidInputError", "no element 'Og'") for i in range(1, 14)}
    print_failures(bad | many, {"notes.txt": Failure("NoStructureFile", "")})
    assert capsys.readouterr().err.splitlines() == [
        "Failed: 13 × InvalidInputError, Og-1: no element 'Og'; likewise "
        + ", ".join(f"Og-{i}" for i in range(2, 11))
        + " and 3 more",
        "Failed: 2 × UnreadableFileError, bad-1: file 1 is no structure; likewise bad-2",
        "Passed over: 1 × no structure file, notes.txt",
    ]
