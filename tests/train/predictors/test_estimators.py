"""scikit-learn's regressors: any of the list, as arrays, with intervals; others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from sklearn.utils import all_estimators

from featurestore.errors import InvalidInputError, UnknownNameError
from train.predictors.base import Examples
from train.predictors.errors import TrainingError
from train.predictors.estimators import recipe as recipe_module
from train.predictors.estimators.names import MODULES
from train.predictors.registry import make_recipe, predictor_part, restored
from train.predictors.uncertainty import LEVELS

RANDOM = np.random.default_rng(3)
FEATURES = (RANDOM.normal(size=(160, 6)) * [1, 1, 1, 5, 0.1, 1] + 2).astype(np.float32)
TARGETS = np.exp(0.2 * (FEATURES[:, 0] + FEATURES[:, 1] * FEATURES[:, 2]).astype(float))
TRAIN, VAL = (Examples(FEATURES[rows], TARGETS[rows]) for rows in (slice(90), slice(90, 130)))
REST = FEATURES[130:]
#: Small ones, and what else decides the formula of a prediction.
VARIED: tuple[tuple[str, dict[str, Any]], ...] = (
    *((name, {}) for name in sorted(MODULES) if name != "MLPRegressor"),
    ("RandomForestRegressor", {"n_estimators": 7, "max_features": "sqrt"}),
    ("BaggingRegressor", {"max_features": 0.5, "bootstrap_features": True}),
    ("GradientBoostingRegressor", {"loss": "huber", "n_estimators": 9, "learning_rate": 0.3}),
    ("HistGradientBoostingRegressor", {"loss": "poisson", "max_iter": 9}),
    ("TweedieRegressor", {"power": 1.5}),
    ("TweedieRegressor", {"link": "log"}),
    ("PLSRegression", {"n_components": 3, "scale": False}),
    ("SVR", {"kernel": "poly", "degree": 2, "coef0": 1.5, "gamma": "auto"}),
    ("SVR", {"kernel": "linear", "C": 0.5}),
    ("SVR", {"kernel": "sigmoid", "gamma": 0.01}),
    ("KernelRidge", {"kernel": "laplacian", "alpha": 0.1}),
    ("KernelRidge", {"kernel": "rbf", "gamma": 0.2}),
    ("KNeighborsRegressor", {"weights": "distance", "p": 1, "n_neighbors": 3}),
    *(
        ("MLPRegressor", {"hidden_layer_sizes": (5, 4), "activation": name, "max_iter": 20})
        for name in ("identity", "logistic", "tanh", "relu")
    ),
    ("MLPRegressor", {"loss": "poisson", "hidden_layer_sizes": [5], "max_iter": 20}),
)


class Silent:
    def update(self, done: int = 1) -> None:
        pass


def fitted(estimator: str, seed: int = 0, **settings: Any) -> Any:
    return make_recipe("sklearn", {"estimator": estimator, **settings}).fit(
        TRAIN, VAL, seed, Silent()
    )


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize(("estimator", "parameters"), VARIED)
def test_arrays_predict_what_scikit_learn_does(
    estimator: str,
    parameters: dict[str, Any],
    standardise: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs: list[Any] = []
    read = recipe_module.form_of

    def kept(fitted: Any, rows: Any, targets: Any) -> Any:
        theirs.append(fitted)
        return read(fitted, rows, targets)

    monkeypatch.setattr(recipe_module, "form_of", kept)
    predictor = fitted(estimator, standardise=standardise, **parameters).predictor
    rows = REST.astype(np.float64)
    if standardise:
        both = np.concatenate([TRAIN.features, VAL.features]).astype(np.float64)
        rows = (rows - both.mean(axis=0)) / both.std(axis=0)
    expected = np.ravel(theirs[-1].predict(rows))
    np.testing.assert_allclose(predictor.predict(REST), expected, rtol=1e-9, atol=1e-12)
    again = restored("sklearn", {}, predictor.to_bytes())
    np.testing.assert_array_equal(again.predict(REST), predictor.predict(REST))


def test_every_regressor_is_there_or_refused_by_name() -> None:
    for name, _ in all_estimators(type_filter="regressor"):
        if name not in MODULES:
            with pytest.raises(InvalidInputError, match=rf"{name} cannot be stored without pickle"):
                make_recipe("sklearn", {"estimator": name})
    with pytest.raises(UnknownNameError, match="did you mean 'RandomForestRegressor'"):
        make_recipe("sklearn", {"estimator": "RandomForestRegresor"})
    with pytest.raises(InvalidInputError, match="LogisticRegression learns classes, not numbers"):
        make_recipe("sklearn", {"estimator": "LogisticRegression"})


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_estimator": 3}, UnknownNameError, "did you mean 'n_estimators'"),
        ({"n_estimators": "many"}, InvalidInputError, "'n_estimators' parameter .* 'many'"),
        ({"n_estimators": 0}, InvalidInputError, "'n_estimators' parameter"),
        ({"max_depth": {"deep": 1}}, InvalidInputError, "'max_depth' of 'sklearn'"),
        ({"random_state": 3}, UnknownNameError, "random_state"),
        ({"estimator": "SVR", "kernel": "precomputed"}, InvalidInputError, "cannot be stored"),
        ({"estimator": "SVR", "n_estimators": 3}, UnknownNameError, "n_estimators"),
        ({"standardise": 1}, InvalidInputError, "true or false"),
    ],
)
def test_settings_are_checked_before_anything_is_trained(settings, error, message) -> None:
    with pytest.raises(error, match=message):
        make_recipe("sklearn", settings)


def test_assignments_are_typed_and_defaults_are_no_settings() -> None:
    given = ["max_depth=none", "n_estimators=20", "max_features=sqrt", "bootstrap=false"]
    part = predictor_part("sklearn")
    values = part.parsed([*given, "estimator=ExtraTreesRegressor"])
    assert values == {
        "estimator": "ExtraTreesRegressor",
        "max_depth": None,
        "n_estimators": 20,
        "max_features": "sqrt",
        "bootstrap": False,
    }
    assert make_recipe("sklearn", values).settings == {
        "estimator": "ExtraTreesRegressor",
        "standardise": False,
        "learn_from_val": True,
        "n_estimators": 20,
        "max_features": "sqrt",
    }
    assert part.parsed(["hidden_layer_sizes=[8, 4]", "estimator=MLPRegressor"])[
        "hidden_layer_sizes"
    ] == (8, 4)


def test_seeds_differ_where_there_is_chance() -> None:
    forests = [fitted("RandomForestRegressor", seed, n_estimators=3) for seed in (0, 0, 1)]
    first, again, other = (one.predictor.to_bytes() for one in forests)
    assert first == again != other
    assert fitted("Ridge", 0).predictor.to_bytes() == fitted("Ridge", 1).predictor.to_bytes()


def test_intervals_are_calibrated_by_rows_that_were_not_learned() -> None:
    found = fitted("KNeighborsRegressor", n_neighbors=1)
    assert found.rehearsed is not None
    residuals = np.sort(np.abs(found.rehearsed.predict(VAL.features) - VAL.targets))
    # A nearest neighbour knows by heart what it learned, the final one the validation rows too.
    assert np.abs(found.predictor.predict(VAL.features) - VAL.targets).max() == 0
    assert residuals.max() > 0
    uncertainty = found.predictor.uncertainty(REST)
    for level in LEVELS:
        rank = int(np.ceil((len(VAL) + 1) * level - 1e-9))
        np.testing.assert_array_equal(uncertainty.half_widths[level], residuals[rank - 1])
    alone = fitted("KNeighborsRegressor", n_neighbors=1, learn_from_val=False)
    assert alone.rehearsed is None
    np.testing.assert_array_equal(alone.predictor.predict(REST), found.rehearsed.predict(REST))


def test_warnings_and_missing_intervals_are_notes() -> None:
    few = Examples(VAL.features[:9], VAL.targets[:9])
    recipe = make_recipe("sklearn", {"estimator": "MLPRegressor", "max_iter": 2})
    found = recipe.fit(TRAIN, few, 0, Silent())
    assert found.predictor.uncertainty(REST) is None
    assert found.notes[0].startswith("too few validation rows")
    assert "hasn't converged" in found.notes[1] and len(found.notes) == 2


def test_what_scikit_learn_refuses_or_cannot_do_is_named() -> None:
    negative = Examples(TRAIN.features, -TRAIN.targets)
    with pytest.raises(TrainingError, match=r"GammaRegressor refuses: .*out of the valid range"):
        make_recipe("sklearn", {"estimator": "GammaRegressor"}).fit(negative, VAL, 0, Silent())
    far = Examples(VAL.features * np.float32(1e6), VAL.targets)
    with pytest.raises(TrainingError, match="PoissonRegressor predicts what is no finite number"):
        make_recipe("sklearn", {"estimator": "PoissonRegressor"}).fit(TRAIN, far, 0, Silent())


def test_a_constant_column_is_not_blown_up() -> None:
    features = FEATURES.copy()
    features[:, 4] = 0.1
    recipe = make_recipe("sklearn", {"estimator": "Ridge", "standardise": True})
    found = recipe.fit(Examples(features[:90], TARGETS[:90]), VAL, 0, Silent()).rehearsed
    assert found.scale[4] == 1.0 and (found.scale[:4] != 1.0).all()


def _tampered(weights: bytes, **changes: Any) -> bytes:
    arrays = load(weights)
    for name, change in changes.items():
        full = next(key for key in arrays if key.endswith(f".{name}"))
        arrays[full] = change(arrays[full].copy())
    return bytes(save(arrays))


def _first_inner(to: int) -> Any:
    def change(values: Any) -> Any:
        values[0] = to
        return values

    return change


def test_weights_of_a_stranger_are_read_as_numbers_only() -> None:
    forest = fitted("RandomForestRegressor", n_estimators=2).predictor.to_bytes()
    for name, to in (("left", 0), ("right", 10**6), ("left", -4), ("feature", 99)):
        with pytest.raises(ValueError, match="a tree's node"):
            restored("sklearn", {}, _tampered(forest, **{name: _first_inner(to)}))
    kernel = fitted("SVR").predictor.to_bytes()
    with pytest.raises(IndexError):
        restored("sklearn", {}, _tampered(kernel, kernel=_first_inner(17)))
    neighbours = fitted("KNeighborsRegressor").predictor.to_bytes()
    arrays = load(neighbours)
    with pytest.raises(ValueError, match="not one of linear"):
        restored("sklearn", {}, bytes(save({**arrays, "pickle.data": arrays["mean"]})))
