"""What every text generator has to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from featurestore.crystal import Crystal
from featurestore.testing.crystals import impossible_crystal, made_up_crystals
from featurestore.testing.parts import PartContract


class TextContract(PartContract):
    """Tests for a text part; a subclass gives the fixture ``part``."""

    def crystals(self, number: int = 0) -> list[Crystal]:
        """Crystals to describe, others for each number."""
        return made_up_crystals(1 + number / 1000)

    def bad_crystal(self) -> Crystal:
        """A crystal that most generators cannot describe; one that can may do so."""
        return impossible_crystal()

    @pytest.fixture
    def generator(self, build: Callable[..., Any]) -> Any:
        made = build()
        made.warm_up()
        return made

    def test_its_source_is_its_name(self, part: Any, generator: Any) -> None:
        assert generator.spec.source == part.name

    def test_every_sentence_has_a_declared_tag(self, part: Any, generator: Any) -> None:
        for crystal in self.crystals():
            sentences = generator.describe(crystal)
            assert sentences
            part.check_tags(sentences)
            for sentence in sentences:
                assert sentence.text and sentence.text == sentence.text.strip()

    def test_the_same_crystal_has_the_same_text(
        self, generator: Any, build: Callable[..., Any]
    ) -> None:
        crystals = self.crystals()
        texts = [generator.describe(crystal) for crystal in crystals]
        assert texts == [generator.describe(crystal) for crystal in crystals]
        other = build()
        other.warm_up()
        assert texts == [other.describe(crystal) for crystal in crystals]

    def test_order_does_not_matter(self, generator: Any) -> None:
        crystals = self.crystals()
        texts = [generator.describe(crystal) for crystal in crystals]
        assert texts == [generator.describe(crystal) for crystal in crystals[::-1]][::-1]

    def test_one_failure_does_not_lose_the_others(self, generator: Any) -> None:
        crystal = self.crystals()[0]
        before = generator.describe(crystal)
        try:
            generator.describe(self.bad_crystal())
        except Exception as error:
            assert str(error).strip(), "the failure has no message"
        assert generator.describe(crystal) == before

    def test_memory_is_bounded(self, generator: Any) -> None:
        self.check_memory(
            lambda number: [generator.describe(crystal) for crystal in self.crystals(number)]
        )
