"""Campaigns that seek the materials of a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from class_lab import N, request
from click.testing import CliRunner

import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore

PLAN = train.CampaignPlan(known=12, picks=20, batch=5, starts=2, classes=["large"])


def test_members_of_a_class_are_found(store: FeatureStore) -> None:
    view = store.view(request("size"))
    found = train.replay(view, PLAN)
    assert found.rules == ["upper-bound", "greedy", "random"]
    names = np.array(view.material_ids)
    large = set(names[view.rows["target"].to_numpy() == 0].tolist())
    for one in found.campaigns:
        known = names[np.random.default_rng(one.start).permutation(len(names))[: PLAN.known]]
        assert one.pool == len(large - set(known.tolist())) and one.best is None
        assert one.found.tolist() == [len(large & set(one.picked[:k])) for k in range(21)]
    assert found.found("greedy")[:, -1].mean() > 1.5 * found.found("random")[:, -1].mean()
    assert found.by_chance == pytest.approx(
        np.mean([one.pool for one in found.campaigns]) * 20 / (len(names) - 12)
    )
    assert "materials of the class large among the 107 of the pool" in found.remarks()[0]
    assert "best" not in found.table.column_names and found.tied == 0
    again = train.replay(view, PLAN, ("greedy",))
    assert [one.picked for one in again.campaigns] == [
        one.picked for one in found.campaigns if one.rule == "greedy"
    ]


def test_what_is_sought_must_be_there(store: FeatureStore) -> None:
    view = store.view(request("size"))
    with pytest.raises(InvalidInputError, match="say which is sought, as with --class small"):
        train.replay(view, train.CampaignPlan(known=12, picks=5, starts=2))
    with pytest.raises(UnknownNameError, match="class of size 'huge'"):
        train.replay(view, train.CampaignPlan(12, 5, 5, 2, classes=["huge"]))
    with pytest.raises(InvalidInputError, match="all of the 119 materials are of the class"):
        train.replay(view, train.CampaignPlan(12, 5, 5, 2, classes=["large", "medium", "small"]))
    with pytest.raises(InvalidInputError, match="classes have none; take 'upper-bound'"):
        train.replay(view, PLAN, ("expected-improvement",))
    assert N == 120


def test_the_command_seeks_a_class(store: FeatureStore, tmp_path: Path) -> None:
    figure = tmp_path / "replay.png"
    words = ["screen", "replay", "positive", "--structure-encoder", "toy-graph", "--class", "true"]
    plan = ["--known", "10", "--picks", "6", "--batch", "3", "--starts", "2"]
    rules = [word for rule in ("probability", "uncertainty") for word in ("--rule", rule)]
    given = [*words, *plan, *rules, "--figure", str(figure), "--store", store.uri]
    shown = CliRunner().invoke(root, given)
    assert shown.exit_code == 0, shown.output
    assert "found" in shown.stdout and "of the class true" in shown.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
