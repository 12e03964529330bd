"""Contracts for those who write parts: subclass one in a test module and run pytest.

They need pytest, which the store itself does not: nothing else imports this package.
"""

from __future__ import annotations

import pytest

# So that a failed assertion shows what it compared, as in a test module.
pytest.register_assert_rewrite(
    *(
        f"featurestore.testing.{name}"
        for name in (
            "encoders",
            "parts",
            "predictors",
            "sources",
            "store",
            "texts",
        )
    )
)

from featurestore.testing.encoders import EncoderContract  # noqa: E402
from featurestore.testing.predictors import PredictorContract  # noqa: E402
from featurestore.testing.sources import SourceContract  # noqa: E402
from featurestore.testing.store import StoreContract  # noqa: E402
from featurestore.testing.texts import TextContract  # noqa: E402

__all__ = [
    "EncoderContract",
    "PredictorContract",
    "SourceContract",
    "StoreContract",
    "TextContract",
]
