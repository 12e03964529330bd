"""Settings that several encoders share."""

from __future__ import annotations

from featurestore.plugins import Setting

PRECISION = Setting(
    "precision",
    str,
    "float32",
    "Arithmetic; another precision is another encoder.",
    choices=("float32", "bfloat16"),
)


def device(*, identity: bool) -> Setting:
    """Where the encoder computes; ``identity`` says whether the fingerprint holds it."""
    return Setting("device", str, "cpu", "Where it computes: cpu or cuda.", identity=identity)
