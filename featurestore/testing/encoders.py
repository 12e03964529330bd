"""What every encoder of structures or texts has to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from featurestore.failure import Failure
from featurestore.testing.crystals import impossible_crystal, made_up_crystals
from featurestore.testing.parts import PartContract

_TEXTS = (
    "NaCl is Halite, Rock Salt structured and crystallizes in the cubic Fm-3m space group.",
    "There are two inequivalent O sites.",
    "All Cs-Cl bond lengths are 3.57 Å.",
    "Sr is bonded to twelve equivalent O atoms to form SrO12 cuboctahedra.",
    "The structure is three-dimensional.",
)


class EncoderContract(PartContract):
    """Tests for an encoder part; a subclass gives the fixture ``part``.

    Attributes
    ----------
    tolerance : float
        By which a vector may change in other company, as a part of its length: batches are summed
        up in another order.
    """

    tolerance: ClassVar[float] = 1e-5

    def items(self, kind: str, number: int = 0) -> list[Any]:
        """Distinct things to encode, others for each number."""
        if kind == "structure":
            return list(made_up_crystals(1 + number / 1000))
        return [text.replace(" is ", f" number {number} is ") for text in _TEXTS]

    def bad_item(self, kind: str) -> Any:
        """A thing that most encoders cannot encode; one that can may do so."""
        return impossible_crystal() if kind == "structure" else "half a character: \ud800"

    @pytest.fixture
    def encoder(self, build: Callable[..., Any]) -> Any:
        return build()

    def test_its_kind_is_the_declared_one(self, part: Any, encoder: Any) -> None:
        assert encoder.spec.kind == part.kind

    def test_one_vector_each_that_the_segments_cover(self, encoder: Any) -> None:
        spec = encoder.spec
        items = self.items(spec.kind)
        assert _vectors(encoder.encode(items)).shape == (len(items), spec.dimension)
        assert [spec.segments[0].start, *(one.stop for one in spec.segments)] == [
            *(one.start for one in spec.segments),
            spec.dimension,
        ]
        assert encoder.encode([]) == []

    def test_different_items_have_different_vectors(self, encoder: Any) -> None:
        vectors = _vectors(encoder.encode(self.items(encoder.spec.kind)))
        assert len(np.unique(vectors, axis=0)) == len(vectors)

    def test_the_same_items_give_the_same_vectors(
        self, encoder: Any, build: Callable[..., Any]
    ) -> None:
        items = self.items(encoder.spec.kind)
        first = _vectors(encoder.encode(items))
        np.testing.assert_array_equal(first, _vectors(encoder.encode(items)))
        np.testing.assert_array_equal(first, _vectors(build().encode(items)))

    def test_order_and_company_do_not_matter(self, encoder: Any) -> None:
        items = self.items(encoder.spec.kind)
        together = _vectors(encoder.encode(items))
        reversed_ = _vectors(encoder.encode(items[::-1]))[::-1]
        alone = np.concatenate([_vectors(encoder.encode([item])) for item in items])
        lengths = np.linalg.norm(together, axis=1)
        for other in (reversed_, alone):
            assert (np.linalg.norm(other - together, axis=1) <= self.tolerance * lengths).all()

    def test_one_failure_does_not_lose_the_others(self, encoder: Any) -> None:
        items = self.items(encoder.spec.kind)
        bad = self.bad_item(encoder.spec.kind)
        results = encoder.encode([items[0], bad, *items[1:]])
        assert len(results) == len(items) + 1
        failure = results.pop(1)
        if isinstance(failure, Failure):
            assert failure.error.strip() and failure.message.strip()
        else:
            _vectors([failure])
        lengths = np.linalg.norm(_vectors(results), axis=1)
        off = np.linalg.norm(_vectors(results) - _vectors(encoder.encode(items)), axis=1)
        assert (off <= self.tolerance * lengths).all()
        assert isinstance(encoder.encode([bad])[0], type(failure))

    def test_memory_is_bounded(self, encoder: Any) -> None:
        self.check_memory(lambda number: encoder.encode(self.items(encoder.spec.kind, number)))


def _vectors(results: Sequence[Any]) -> npt.NDArray[np.float32]:
    """The vectors of results of which none failed; float32, shape (n, dimension)."""
    for result in results:
        assert not isinstance(result, Failure), result
        assert result.vector.dtype == np.float32, "vectors are float32"
        assert np.isfinite(result.vector).all()
    return np.stack([result.vector for result in results])
