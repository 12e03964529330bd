from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import synthetic_store as toy
import torch
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.store import FeatureStore
from featurestore.views.view import TrainingView
from train.models import stored_weights
from train.predictors.base import Examples, Predictor, Recipe
from train.predictors.ensemble import gaussian_process, networks
from train.predictors.ensemble import recipe as recipe_module
from train.predictors.ensemble.gaussian_process import GaussianProcess
from train.predictors.ensemble.kernel import Tuned, matern, squared_distances, tuned_kernel
from train.predictors.ensemble.networks import NetworkSettings, forward, train_networks
from train.predictors.ensemble.predictor import EnsemblePredictor
from train.predictors.ensemble.projection import Projection
from train.predictors.ensemble.recipe import Ensemble
from train.predictors.ensemble.targets import TargetScale
from train.predictors.errors import TrainingError
from train.predictors.loading import load_model
from train.predictors.mlp import MLP
from train.training import train_model

Floats = npt.NDArray[np.float64]
SMALL = Ensemble(members=3, depth=2, width=16, epochs=30, batch_size=32, learning_rate=1e-2)
QUICK = replace(SMALL, epochs=2)
WHOLE = [slice(0, 3)]


class _Count:
    def __init__(self) -> None:
        self.done = 0

    def update(self, done: int = 1) -> None:
        self.done += done


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("stores") / "store", 200)


def _view(store: FeatureStore, features: str = "structure+text") -> TrainingView:
    return store.training_view(toy.PROPERTY, **toy.view_request(features))


def _random(n: int, width: int = 3, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, width))


def test_it_learns_blends_and_knows_its_error(store: FeatureStore) -> None:
    view = _view(store)
    result = train_model(store, view, SMALL, seed=0)
    metrics = result.model.metrics
    assert metrics["folds"]["test"]["r2"] > 0.97
    assert metrics["transformation"] == "identity"
    assert metrics["share_of_process"] in (0.0, 0.25, 0.5, 0.75, 1.0)
    assert set(metrics["kernel_weights"]) == {"structure.all", "text.all"}
    assert list(metrics["coverage"]) == ["0.68", "0.90", "0.95"]
    rows = store.sql(
        "SELECT * FROM predictions WHERE model_id = ? ORDER BY material_id", [result.model.model_id]
    )
    std, lower, upper, predictions = (
        rows[name].to_numpy() for name in ("std", "lower", "upper", "prediction")
    )
    assert (std > 0).all()
    np.testing.assert_allclose(predictions - lower, upper - predictions, rtol=1e-6, atol=1e-12)
    targets = rows["target"].to_numpy()
    test = np.array(rows["fold"].to_pylist()) == "test"
    inside = ((targets >= lower) & (targets <= upper))[test].mean()
    assert inside == pytest.approx(metrics["coverage"]["0.90"])
    model = load_model(store, result.model.model_id)
    # the model has learned from the validation rows, what is stored of them has not
    val = view.in_fold("val")
    np.testing.assert_array_equal(model.predict(view.features)[~val], predictions[~val])
    np.testing.assert_array_equal(model.uncertainty(view.features).std[~val], std[~val])
    assert (model.uncertainty(view.features).std[val] < std[val]).mean() > 0.9


def test_the_validation_intervals_hold_what_they_say(store: FeatureStore) -> None:
    view = _view(store)
    result = train_model(store, view, SMALL, seed=0)
    rows = store.sql(
        "SELECT avg((target BETWEEN lower AND upper)::INT) AS inside FROM predictions "
        "WHERE model_id = ? AND fold = 'val'",
        [result.model.model_id],
    )
    # the 37th of 40 residuals, give or take rounding at the very edge
    assert rows["inside"][0].as_py() == pytest.approx(37 / 40, abs=1.01 / 40)


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes(tmp_path: Path, two_threads: None) -> None:
    found = []
    for name in ("one", "two"):
        store = toy.make_store(tmp_path / name, 120)
        result = train_model(store, _view(store), QUICK, seed=7)
        predictions = store.sql(
            "SELECT * EXCLUDE run_id FROM predictions ORDER BY material_id"
        ).to_pylist()
        with store.session() as session:
            weights = stored_weights(session, result.model.model_id)
        found.append((result.model.model_id, weights, predictions))
    assert found[0] == found[1]
    other = train_model(store, _view(store), QUICK, seed=8)
    assert other.model.model_id != found[0][0]


def test_progress_and_history_are_of_the_networks() -> None:
    inputs = _random(60).astype(np.float32)
    examples = Examples(inputs, inputs[:, 0].astype(np.float64))
    progress = _Count()
    fitted = QUICK.fit(examples, examples, 0, progress)
    assert progress.done == QUICK.max_epochs == 2 * QUICK.epochs
    assert len(fitted.history) == fitted.best_epoch == QUICK.epochs
    assert [epoch.epoch for epoch in fitted.history] == [1, 2]


def _examples(targets: Floats, features: Floats) -> Examples:
    return Examples(features.astype(np.float32), targets)


def test_the_validation_rows_choose_what_the_networks_learn() -> None:
    features = _random(300, 4)
    for targets, expected in ((features[:, 0], "identity"), (np.exp(3 * features[:, 0]), "sqrt")):
        train = _examples(targets[:200], features[:200])
        val = _examples(targets[200:], features[200:])
        fitted = replace(SMALL, members=4).fit(train, val, 0, _Count())
        assert fitted.details["transformation_of_networks"] == expected
        assert isinstance(fitted.predictor, EnsemblePredictor)
        assert fitted.predictor.network_targets.transformation == expected
        # the history is of the members that were chosen, on rows they have not learned from
        assert isinstance(fitted.rehearsed, EnsemblePredictor)
        _, networks = fitted.rehearsed.parts(val.features)
        val_mae = np.abs(networks - val.targets).mean()
        assert fitted.history[-1].val_mae == pytest.approx(val_mae, rel=1e-3)


def test_it_learns_from_the_validation_rows_unless_told_not_to() -> None:
    features = _random(120, 2)
    targets = np.where(np.arange(120) < 100, 0.0, 5.0) + 0.1 * features[:, 0]
    features[100:] += 6  # the validation rows lie where no training row is
    train = _examples(targets[:100], features[:100])
    val = _examples(targets[100:], features[100:])
    taught = SMALL.fit(train, val, 0, _Count())
    untaught = replace(SMALL, learn_from_val=False).fit(train, val, 0, _Count())
    assert taught.rehearsed is not None

    def error(predictor: Predictor) -> float:
        return float(np.abs(predictor.predict(val.features) - val.targets).mean())

    assert error(taught.predictor) < 0.5
    assert error(untaught.predictor) > 4
    assert error(taught.rehearsed) > 4


def test_networks_without_a_share_are_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    features = _random(60, 4)
    targets = features[:, 0]
    train, val = _examples(targets[:45], features[:45]), _examples(targets[45:], features[45:])
    fitted = {}
    for share in (1.0, 0.75):
        monkeypatch.setattr(recipe_module, "_best_share", lambda *_, share=share: share)
        progress = _Count()
        fitted[share] = QUICK.fit(train, val, 0, progress)
        assert progress.done == QUICK.max_epochs
    alone, both = fitted[1.0].predictor, fitted[0.75].predictor
    assert isinstance(alone, EnsemblePredictor) and isinstance(both, EnsemblePredictor)
    assert not any(name.startswith("networks.") for name in load_arrays(alone.to_bytes()))
    process, networks = both.parts(val.features)
    # As with the networks at a weight of zero, to the bit.
    assert alone.predict(val.features).tobytes() == (1.0 * process + 0.0 * networks).tobytes()
    again = EnsemblePredictor.from_bytes({}, alone.to_bytes())
    assert again.predict(val.features).tobytes() == alone.predict(val.features).tobytes()
    assert again.to_bytes() == alone.to_bytes()


def test_a_single_member_is_enough() -> None:
    features = _random(60, 2)
    examples = _examples(features[:, 0], features)
    fitted = replace(QUICK, members=1).fit(examples, examples, 0, _Count())
    assert np.isfinite(fitted.predictor.predict(examples.features)).all()


def test_weights_of_older_models_load() -> None:
    """They had one residual layer, and one scale for process and networks."""
    features = _random(60, 2)
    examples = _examples(features[:, 0], features)
    recipe = replace(QUICK, depth=1)
    predictor = recipe.fit(examples, examples, 0, _Count()).rehearsed
    assert isinstance(predictor, EnsemblePredictor)
    arrays = load_arrays(predictor.to_bytes())
    old = {name: a for name, a in arrays.items() if not name.startswith("network_targets")}
    old["networks.second"] = old.pop("networks.hidden")[0]
    old["networks.second_bias"] = old.pop("networks.hidden_bias")[0]
    restored = EnsemblePredictor.from_bytes({}, save_arrays(old))
    np.testing.assert_array_equal(
        restored.predict(examples.features), predictor.predict(examples.features)
    )


# The parts


@pytest.mark.parametrize("powers", [(0.0, 0.0), (0.5, 0.2)])
def test_a_projected_segment_has_mean_zero_and_norm_one(powers: tuple[float, float]) -> None:
    features = (_random(50, 5) * [1, 10, 100, 0, 1e-3] + 7).astype(np.float32)
    projection = Projection.of(features, [("a", 0, 2), ("b", 2, 5)], *powers)
    inputs = projection(features)
    assert inputs.dtype == np.float64
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-4)
    for part in (slice(0, 2), slice(2, 5)):
        assert np.sum(inputs[:, part] ** 2) / 50 == pytest.approx(1, rel=1e-3)
    # a segment depends on its own columns alone
    changed = features.copy()
    changed[:, 2:] += 1
    np.testing.assert_array_equal(projection(changed)[:, :2], inputs[:, :2])


def test_constant_features_are_harmless() -> None:
    features = np.ones((10, 3), np.float32)
    assert not Projection.of(features, [("all", 0, 3)], 0.5, 0.5)(features).any()


def test_left_out_predictions_equal_those_of_processes_without_the_row() -> None:
    inputs, rng = _random(25), np.random.default_rng(1)
    targets = np.sin(inputs[:, 0]) + 0.1 * rng.normal(size=25)
    tuned = tuned_kernel(inputs, WHOLE, targets)
    for row in (0, 13):
        others = np.arange(25) != row
        covariance = matern(tuned.weights[0] * squared_distances(inputs[others], inputs[others]))
        covariance += tuned.nugget * np.eye(24)
        near = matern(tuned.weights[0] * squared_distances(inputs[row : row + 1], inputs[others]))
        expected = near @ np.linalg.solve(covariance, targets[others])
        assert tuned.left_out[row] == pytest.approx(expected[0], rel=1e-6)


def test_tuning_switches_off_a_segment_that_says_nothing() -> None:
    inputs = _random(150, 2)
    tuned = tuned_kernel(inputs, [slice(0, 1), slice(1, 2)], np.sin(2 * inputs[:, 0]))
    assert tuned.weights[0] > 20 * tuned.weights[1]


def test_sizes_give_the_relevance_that_the_kernel_found() -> None:
    kernel = Tuned(np.array([4.0, 1.0, 0.0]), 0.1, np.zeros(1))
    segments = [slice(0, 2), slice(2, 3), slice(3, 5)]
    alike = kernel.sizes(segments, 0)
    np.testing.assert_array_equal(alike, np.ones(5))
    sizes = kernel.sizes(segments, 1)
    np.testing.assert_allclose(sizes[:3] ** 2, [2.4, 2.4, 0.6])
    np.testing.assert_allclose(sizes[3:], 0, atol=1e-100)
    np.testing.assert_allclose(kernel.sizes(segments, 0.5)[:3] ** 2, [2, 2, 1])


def test_networks_behind_sizes_take_inputs_before_them() -> None:
    settings = NetworkSettings(3, 2, 8, 1, 4, 1e-2, 0.1)
    inputs = np.random.default_rng(0).normal(size=(20, 5)) / 16
    generator = torch.Generator().manual_seed(0)
    wanted = np.tile(inputs[:, 0], (3, 1))
    trained = train_networks(inputs, wanted, settings, generator, lambda *_: None)
    sizes = np.array([2.0, 2.0, 0.5, 0.25, 0.25])
    np.testing.assert_allclose(
        trained.behind(sizes).members(inputs), trained.members(inputs * sizes), atol=1e-6
    )


def test_the_process_equals_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian_process, "_ROWS_AT_ONCE", 7)
    inputs, queries = _random(30), _random(12, seed=1)
    targets = np.sin(inputs).sum(axis=1)
    kernel = Tuned(np.array([0.4]), 0.05, targets)
    process = GaussianProcess.fit(inputs, targets, kernel, WHOLE)
    covariance = matern(0.4 * squared_distances(inputs, inputs)) + 0.05 * np.eye(30)
    near = matern(0.4 * squared_distances(queries, inputs))
    mean = near @ np.linalg.solve(covariance, targets)
    variance = 1.05 - np.einsum("ij,ji->i", near, np.linalg.solve(covariance, near.T))
    # the rows are kept as bytes, 127 steps to each side
    np.testing.assert_allclose(process.mean(queries), mean, atol=0.03)
    assert np.abs(process.mean(queries) - mean).max() > 1e-9
    # with 30 rows the 32 nearest are all there are
    np.testing.assert_allclose(process.variance(queries), variance, rtol=0.05)
    restored = GaussianProcess.from_arrays(process.to_arrays())
    np.testing.assert_array_equal(restored.mean(queries), process.mean(queries))


def test_the_local_variance_is_near_that_of_all_rows() -> None:
    inputs, queries = _random(400), _random(50, seed=1)
    kernel = Tuned(np.array([0.5]), 0.02, np.empty(0))
    process = GaussianProcess.fit(inputs, np.zeros(400), kernel, WHOLE)
    rows = process.codes * process.steps.astype(np.float64)
    covariance = matern(squared_distances(rows, rows)) + 0.02 * np.eye(400)
    near = matern(squared_distances(queries * process.metric, rows))
    exact = 1.02 - np.einsum("ij,ji->i", near, np.linalg.solve(covariance, near.T))
    local = process.variance(queries)
    assert (local >= exact - 1e-9).all()
    np.testing.assert_allclose(local, exact, rtol=0.25)


def test_equal_rows_are_no_obstacle() -> None:
    inputs = np.repeat(_random(5), 4, axis=0)
    targets = np.repeat(np.arange(5.0), 4) - 2
    tuned = tuned_kernel(inputs, WHOLE, targets)
    process = GaussianProcess.fit(inputs, targets, tuned, WHOLE)
    np.testing.assert_allclose(process.mean(inputs), targets, atol=0.2)


def _forward_by_hand(parameters: dict[str, Floats], x: Floats) -> Floats:
    def silu(z: Floats) -> Floats:
        return z / (1 + np.exp(-z))

    p = parameters
    rows = []
    for member in range(len(p["first"])):
        h = silu(x @ p["first"][member] + p["first_bias"][member])
        for weights, bias in zip(p["hidden"], p["hidden_bias"], strict=True):
            h = h + silu(h @ weights[member] + bias[member])
        rows.append((h @ p["output"][member] + p["output_bias"][member])[:, 0])
    return np.array(rows)


def test_batched_networks_equal_each_written_out() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "first": (2, 3, 4),
        "first_bias": (2, 1, 4),
        "hidden": (3, 2, 4, 4),
        "hidden_bias": (3, 2, 1, 4),
        "output": (2, 4, 1),
        "output_bias": (2, 1, 1),
    }
    parameters = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    by_hand = _forward_by_hand({n: v.numpy() for n, v in parameters.items()}, x.numpy())
    np.testing.assert_allclose(forward(parameters, x).numpy(), by_hand, rtol=1e-12)


def test_one_step_equals_one_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """AdamW's first step moves a weight by the rate against the sign of its gradient."""
    inputs, targets = _random(6) / 16, _random(2, 6)  # 16: what the networks multiply by
    before: dict[str, Floats] = {}

    def catch(parameters: dict[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        before.update({name: value.detach().double().numpy() for name, value in parameters.items()})
        return forward(parameters, rows)

    def loss(parameters: dict[str, Floats]) -> float:
        errors = np.abs(_forward_by_hand(parameters, inputs * 16) - targets)
        return float(errors.mean(axis=1).sum())

    monkeypatch.setattr(networks, "forward", catch)
    monkeypatch.setattr(networks, "_learning_rates", lambda *_: iter([1e-2]))
    settings = NetworkSettings(2, 2, 4, 1, 6, 1e-2, 0.1)
    generator = torch.Generator().manual_seed(0)
    after = train_networks(inputs, targets, settings, generator, lambda *_: None).parameters
    checked = 0
    for name, value in before.items():
        kept = 1.0 if name.endswith("bias") else 1 - 1e-2 * 0.1
        for index in np.ndindex(value.shape):
            moved = {n: v.copy() for n, v in before.items()}
            moved[name][index] += 1e-6
            slope = (loss(moved) - loss(before)) / 1e-6
            if abs(slope) > 1e-3:  # so that epsilon does not matter
                expected = value[index] * kept - 1e-2 * np.sign(slope)
                # float16 keeps three decimal digits
                assert float(after[name][index]) == pytest.approx(expected, rel=1e-3, abs=1e-5)
                checked += 1
    assert checked > 50


@pytest.mark.parametrize("name", ["identity", "sqrt"])
def test_target_scales_go_there_and_back(name: str) -> None:
    targets = np.array([-4.0, 0.0, 1.0, 9.0])
    scale = TargetScale.of(targets, name)
    scaled = scale.scaled(targets)
    assert scaled.mean() == pytest.approx(0, abs=1e-12)
    assert scaled.std() == pytest.approx(1)
    np.testing.assert_allclose(scale.in_unit(scaled), targets, atol=1e-12)
    assert scale.in_unit(np.array([99.0]))[0] == 9.0
    assert TargetScale.from_arrays(scale.to_arrays()) == scale


def test_the_deviation_of_a_square_is_that_of_samples() -> None:
    scale = TargetScale("sqrt", 1.0, 2.0, 0.0, 1e9)
    rng = np.random.default_rng(0)
    for mean, std in ((1.5, 0.1), (-0.5, 0.3)):  # roots of mean 4 and 0
        samples = ((rng.normal(mean, std, 200_000)) * 2 + 1) ** 2
        found = scale.std_in_unit(np.array([mean]), np.array([std]))[0]
        assert found == pytest.approx(samples.std(), rel=0.02)


# Bad input, for both recipes

RECIPES: list[Recipe] = [QUICK, MLP(widths=(8,), max_epochs=2, patience=1)]
both = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


@both
def test_three_rows_are_refused_or_said(tmp_path: Path, recipe: Recipe) -> None:
    few = toy.make_store(tmp_path / "few", 3)  # all of them in the training fold
    with pytest.raises(MissingDataError, match=r"3 rows to train on and 0 to stop by"):
        train_model(few, _view(few), recipe, seed=0)
    enough = toy.make_store(tmp_path / "enough", 4)
    result = train_model(enough, _view(enough), recipe, seed=0)
    assert "the test fold is empty: there is no test error" in result.notes
    assert "coverage" not in result.model.metrics


@both
def test_constant_targets(tmp_path: Path, recipe: Recipe) -> None:
    store = toy.make_store(tmp_path / "store", 100, targets=np.full(100, 1.5))
    result = train_model(store, _view(store), recipe, seed=0)
    assert any("all training targets are equal" in note for note in result.notes)
    if recipe.name == "ensemble":
        assert result.model.metrics["folds"]["test"]["mae"] == 0
        assert result.model.metrics["coverage"]["0.90"] == 1


@both
def test_a_nan_names_the_material(store: FeatureStore, recipe: Recipe) -> None:
    view = _view(store)
    features = view.features.copy()
    features[17, 3] = np.nan
    with pytest.raises(InvalidInputError, match="'toy-017'"):
        train_model(store, replace(view, features=features), recipe, seed=0)


@both
def test_another_width_is_refused(store: FeatureStore, recipe: Recipe) -> None:
    model_id = train_model(store, _view(store), recipe, seed=5).model.model_id
    with pytest.raises(InvalidInputError, match=r"takes 7 features, these rows have 4.*toy_text"):
        load_model(store, model_id).predict(_view(store, "structure").features)


@both
def test_divergence_is_an_error(recipe: Recipe) -> None:
    inputs = _random(40).astype(np.float32)
    examples = Examples(inputs, inputs[:, 0].astype(np.float64))
    wild: Recipe = replace(recipe, learning_rate=1e30)  # type: ignore[type-var]
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match="diverged in epoch"):
        wild.fit(examples, examples, 0, _Count())


def test_an_enormous_target_does_not_spoil_the_others() -> None:
    inputs = _random(60).astype(np.float32)
    examples = Examples(inputs, np.append(inputs[1:, 0].astype(np.float64), 1e300))
    with np.errstate(all="ignore"):
        fitted = QUICK.fit(examples, examples, 0, _Count())
    assert fitted.details["transformation"] == "sqrt"
    assert np.isfinite(fitted.predictor.predict(inputs)).all()


def test_too_few_validation_rows_give_no_intervals(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 60)  # 12 of them in the validation fold
    view = _view(store)
    result = train_model(store, view, QUICK, seed=0)
    assert "coverage" not in result.model.metrics
    rows = store.sql("SELECT count(std) AS std, count(lower) AS lower FROM predictions")
    assert rows.to_pylist() == [{"std": 0, "lower": 0}]
    with pytest.raises(InvalidInputError, match="has no uncertainty"):
        load_model(store, result.model.model_id).uncertainty(view.features)


def test_a_model_without_uncertainty_says_so(store: FeatureStore) -> None:
    view = _view(store)
    result = train_model(store, view, RECIPES[1], seed=0)
    with pytest.raises(InvalidInputError, match="train ensemble"):
        load_model(store, result.model.model_id).uncertainty(view.features)
