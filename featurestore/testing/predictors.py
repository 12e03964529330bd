"""What every predictor has to keep: the same seed the same bytes, and predictions that survive."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load

from featurestore.testing.parts import PartContract

_WIDTH = 6


@dataclass(frozen=True)
class Examples:
    """Features and targets, as ``train.predictors.base.Examples`` has them."""

    features: npt.NDArray[Any]
    targets: npt.NDArray[np.float64]
    segments: tuple[tuple[str, int, int], ...] = ()
    n_classes: int = 0

    def __len__(self) -> int:
        return len(self.targets)


class Steps:
    """A progress bar that counts alone."""

    def __init__(self) -> None:
        self.done = 0

    def update(self, done: int = 1) -> None:
        """Count."""
        self.done += done


class PredictorContract(PartContract):
    """Tests for a predictor part; a subclass gives the fixture ``part``, and small ``settings``.

    Attributes
    ----------
    tolerance : float
        By which a prediction may change in other company, as a part of the targets' spread: sums
        are added up in another order.
    """

    tolerance: ClassVar[float] = 1e-5

    def examples(self) -> tuple[Any, Any]:
        """Rows to learn from, and to stop and calibrate by; one on other inputs gives its own."""
        random = np.random.default_rng(5)
        features = random.normal(size=(120, _WIDTH)).astype(np.float32)
        targets = 3 + features[:, :4].sum(axis=1).astype(np.float64) + random.normal(size=120) / 9
        segments = (("structure.all", 0, 4), ("text.all", 4, _WIDTH))
        return (
            Examples(features[:80], targets[:80], segments),
            Examples(features[80:], targets[80:], segments),
        )

    def identity(self, made: Any) -> Mapping[str, Any]:
        """What a model's id is made of, beside its view and its seed."""
        return {"predictor": made.name, "settings": made.settings}

    @pytest.fixture
    def build(self, part: Any) -> Callable[..., Any]:
        """Make the recipe, with further settings."""

        def build(**more: Any) -> Any:
            given = {**self.settings, **more}
            return part.complete(given).build(given)

        return build

    @pytest.fixture
    def fit(self, build: Callable[..., Any]) -> Callable[..., Any]:
        """Train, with a seed and further settings."""

        def fit(seed: int = 0, **more: Any) -> Any:
            return build(**more).fit(*self.examples(), seed, Steps())

        return fit

    def test_the_recipe_has_the_parts_name_and_settings_that_json_holds(
        self, part: Any, build: Callable[..., Any]
    ) -> None:
        recipe = build()
        assert recipe.name == part.name
        assert json.loads(json.dumps(recipe.settings)) == recipe.settings

    def test_the_same_seed_gives_the_same_bytes(self, fit: Callable[..., Any]) -> None:
        first, second = (fit(seed=3) for _ in range(2))
        assert first.predictor.to_bytes() == second.predictor.to_bytes()
        assert first.history == second.history

    def test_predictions_survive_the_bytes_to_the_bit(
        self, part: Any, build: Callable[..., Any], fit: Callable[..., Any]
    ) -> None:
        _, val = self.examples()
        predictor, settings = fit().predictor, json.loads(json.dumps(build().settings))
        weights = predictor.to_bytes()
        assert load(weights), "weights are in the safetensors format"
        restored = part.restore(settings, weights)
        assert restored.n_features == predictor.n_features
        assert restored.to_bytes() == weights
        np.testing.assert_array_equal(
            restored.predict(val.features), predictor.predict(val.features)
        )
        before, after = (_uncertainty(one, val.features) for one in (predictor, restored))
        assert (before is None) == (after is None)
        if before is not None and after is not None:
            np.testing.assert_array_equal(before.std, after.std)

    def test_one_finite_prediction_for_each_row(self, fit: Callable[..., Any]) -> None:
        fitted = fit()
        for rows in self.examples():
            found = fitted.predictor.predict(rows.features)
            assert found.shape == (len(rows),) and found.dtype == np.float64
            assert np.isfinite(found).all()

    def test_order_and_company_do_not_matter(self, fit: Callable[..., Any]) -> None:
        _, val = self.examples()
        predictor, order = fit().predictor, np.random.default_rng(1).permutation(len(val))
        together, near = predictor.predict(val.features), self.tolerance * np.ptp(val.targets)
        np.testing.assert_allclose(
            predictor.predict(val.features[order]), together[order], rtol=0, atol=near
        )
        alone = [predictor.predict(val.features[i : i + 1])[0] for i in range(3)]
        np.testing.assert_allclose(alone, together[:3], rtol=0, atol=near)

    def test_it_knows_the_width_that_it_takes(self, part: Any, fit: Callable[..., Any]) -> None:
        train, _ = self.examples()
        width = train.features.shape[1] if train.features.ndim > 1 else 0
        assert fit().predictor.n_features == width
        assert (part.reads == "structures") == (width == 0)

    def test_uncertainty_is_positive_and_wider_at_higher_levels(
        self, fit: Callable[..., Any]
    ) -> None:
        _, val = self.examples()
        found = _uncertainty(fit().predictor, val.features)
        if found is None:
            pytest.skip("it knows none")
        assert found.std.shape == (len(val),) and (found.std > 0).all()
        widths = [found.half_widths[level] for level in sorted(found.half_widths)]
        assert all(width.shape == (len(val),) for width in widths)
        assert (np.diff(widths, axis=0) >= 0).all() and (widths[0] > 0).all()

    def test_the_history_and_the_progress_agree(self, build: Callable[..., Any]) -> None:
        recipe, steps = build(), Steps()
        fitted = recipe.fit(*self.examples(), 0, steps)
        assert 0 < steps.done <= recipe.max_epochs
        assert [epoch.epoch for epoch in fitted.history] == [
            *range(1, len(fitted.history) + 1),
        ]
        assert 0 <= fitted.best_epoch <= len(fitted.history)
        json.dumps(dict(fitted.details))

    def test_other_bytes_are_refused_and_never_executed(
        self, part: Any, build: Callable[..., Any], fit: Callable[..., Any], tmp_path: Path
    ) -> None:
        settings, weights = build().settings, fit().predictor.to_bytes()
        touched = tmp_path / "touched"
        for wrong in (b"", b"noise", weights[: len(weights) // 2], pickle.dumps(_Touch(touched))):
            with pytest.raises(Exception, match=r"\S"):
                part.restore(settings, wrong)
        assert not touched.exists(), "the bytes of a stranger were executed"


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Path.touch, self.path), ()


def _uncertainty(predictor: Any, features: npt.NDArray[Any]) -> Any:
    return predictor.uncertainty(features) if hasattr(predictor, "uncertainty") else None
