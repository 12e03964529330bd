"""One seed group predicts a property: the promoted one, else the only one that is not retired."""

from __future__ import annotations

import forecast_lab as lab
import pytest
from click.testing import CliRunner

from featurestore.cli.root import root
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from train.forecasts.chosen import chosen_group


def run(store: FeatureStore, *words: str, status: int = 0) -> str:
    result = CliRunner().invoke(root, ["models", *words, "--store", store.uri])
    assert result.exit_code == status, result.output
    return result.output


def chosen(store: FeatureStore) -> list[str]:
    with store.session() as session:
        return chosen_group(session, lab.PROPERTY).model_ids


@pytest.mark.slow
def test_the_promoted_models_predict(lab_store: FeatureStore, lab_model: str) -> None:
    assert chosen(lab_store) == [lab_model]
    second = lab.train_lab(lab_store, seed=1)
    assert set(chosen(lab_store)) == {lab_model, second}
    other = lab.train_lab(lab_store, n_estimators=5)
    with pytest.raises(InvalidInputError, match="none is chosen"):
        chosen(lab_store)
    assert "from now on" in run(lab_store, "promote", other)
    assert chosen(lab_store) == [other]
    assert "in place of " + other in run(lab_store, "promote", lab_model)
    assert set(chosen(lab_store)) == {lab_model, second}
    # a seed that comes later is not promoted by itself
    lab.train_lab(lab_store, seed=2)
    assert set(chosen(lab_store)) == {lab_model, second}
    run(lab_store, "retire", lab_model)
    run(lab_store, "retire", other)
    with pytest.raises(InvalidInputError, match="retired"):
        chosen(lab_store)
    reasons = lab_store.sql("SELECT standing FROM standings WHERE id = ?", [other])
    assert reasons["standing"].to_pylist() == ["retired"]


@pytest.mark.slow
def test_two_groups_are_compared_on_common_materials(
    lab_store: FeatureStore, lab_model: str
) -> None:
    mean = lab.train_lab(lab_store, "mean")
    shown = run(lab_store, "compare", mean, lab_model)
    assert "20 common test materials" in shown and "B's errors are smaller" in shown
    again = run(lab_store, "compare", lab_model, mean)
    assert "A's errors are smaller" in again
    assert "gain_low" in run(lab_store, "compare", mean, lab_model, "--format", "csv")
    run(lab_store, "compare", mean, mean, status=1)


def test_the_card_says_what_is_stored(lab_store: FeatureStore, lab_model: str, tmp_path) -> None:
    import json

    page = run(lab_store, "card", lab_model)
    for words in (
        "Must not be used for",
        "40, from lab (40)",
        "2: Cl Cs",
        "by 20 validation",
        "of 20 test targets",
    ):
        assert words in page, page
    file = tmp_path / "card.json"
    run(lab_store, "card", lab_model, "-o", str(file))
    card = json.loads(file.read_text("utf-8"))
    assert card["models"] == [lab_model]
    assert card["trained_on"]["materials"] == 40
    assert card["reaches"]["elements"] == ["Cl", "Cs"]
    assert card["errors"]["mae_low"] < card["errors"]["mae"] < card["errors"]["mae_high"]
    assert card["features"][0]["fingerprint"] == {"version": 1}
