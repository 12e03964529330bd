"""Replayed campaigns find what can be found, start alike, and repeat themselves to the bit."""

from __future__ import annotations

from pathlib import Path

import forecast_lab as lab
import numpy as np
import pytest
from click.testing import CliRunner
from tiers import few

import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore
from featurestore.views.view import TrainingView
from train.screening.campaigns import mean_of
from train.screening.names import REPLAYED
from train.screening.surrogate import predictive

PLAN = train.CampaignPlan(known=10, picks=12, batch=4, starts=2, top=3)


@pytest.fixture
def view(lab_store: FeatureStore) -> TrainingView:
    return lab_store.training_view(lab.PROPERTY, structure_encoder="lab-edges")


@pytest.mark.slow
def test_a_smooth_function_is_climbed(view: TrainingView) -> None:
    rules = ("expected-improvement", "greedy", "random")
    found = train.replay(view, PLAN, rules)
    assert found.rules == list(rules) and found.n == lab.N
    targets = dict(zip(view.material_ids, view.rows["target"].to_pylist(), strict=True))
    for start in (0, 1):
        of_start = [one for one in found.campaigns if one.start == start]
        known = set(np.random.default_rng(start).permutation(lab.N)[: PLAN.known].tolist())
        pool = [name for row, name in enumerate(view.material_ids) if row not in known]
        best = sorted(pool, key=lambda name: -targets[name])[: PLAN.top]
        for one in of_start:
            assert len(set(one.picked)) == PLAN.picks and set(one.picked) <= set(pool)
            assert one.found.tolist() == [
                len(set(best) & set(one.picked[:k])) for k in range(PLAN.picks + 1)
            ]
            assert one.best[-1] == max([one.best[0], *(targets[name] for name in one.picked)])
        assert len({one.best[0] for one in of_start}) == 1
    assert found.found("expected-improvement")[:, -1].tolist() == [3, 3]
    assert found.found("random")[:, -1].mean() < 2
    assert found.table.num_rows == 3 * 2 * (PLAN.picks + 1)
    row = found.summary.to_pylist()[0]
    assert row["found"] == "3.0 (3.0 to 3.0)" and row["of each start"] == "3, 3"
    assert row["over random"].startswith("+") and "over greedy" in row
    assert "by chance it is 0.51" in found.remarks()[0]
    assert "Replayed campaigns" in repr(found) and "<table" in found._repr_html_()
    again = train.replay(view, PLAN, rules)
    assert [one.picked for one in again.campaigns] == [one.picked for one in found.campaigns]


@pytest.mark.parametrize("rule", few(sorted(REPLAYED)))
def test_every_rule_picks(view: TrainingView, rule: str) -> None:
    plan = train.CampaignPlan(known=20, picks=7, batch=5, starts=2, top=2, smallest=True)
    found = train.replay(view, plan, (rule,))
    assert all(len(set(one.picked)) == 7 for one in found.campaigns)
    assert all((np.diff(one.best) <= 0).all() for one in found.campaigns)
    if rule not in ("random", "uncertainty"):
        assert found.found(rule)[:, -1].sum() >= 3


def test_the_process_is_sure_where_it_knows() -> None:
    inputs = np.linspace(-3, 3, 60)[:, None]
    targets = np.sin(inputs[:, 0])
    known = np.flatnonzero(np.abs(inputs[:, 0]) < 2)[::2]
    rest = np.setdiff1d(np.arange(60), known)
    values, scaled = predictive(inputs, [slice(0, 1)], known, targets[known], rest)
    errors = np.abs(values.centre - (targets[rest] - targets[known].mean()) / targets[known].std())
    # The first beyond 2 on one side is as far from what is known as the last before 2 on the other.
    near, far = np.abs(inputs[rest, 0]) < 2, np.abs(inputs[rest, 0]) > 2.1
    assert errors[near].max() < 0.05 and values.scale[near].max() < 0.9 * values.scale[far].min()
    assert scaled.std() == pytest.approx(1.0)


def test_means_have_students_interval() -> None:
    found = mean_of(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert found.value == 3.0
    assert found.high - 3.0 == pytest.approx(2.776 * np.sqrt(2.5 / 5), rel=1e-3)
    assert found.low + found.high == pytest.approx(6.0)


def test_ties_count_and_are_said(view: TrainingView) -> None:
    from dataclasses import replace

    import pyarrow as pa

    flat = np.minimum(view.rows["target"].to_numpy(), 2.0)
    index = view.rows.schema.get_field_index("target")
    tied = replace(view, rows=view.rows.set_column(index, "target", pa.array(flat)))
    found = train.replay(tied, PLAN, ("greedy",))
    assert found.tied > 0 and "as good as the last of the 3" in found.remarks()[1]
    assert found.found("greedy").max() <= 3


def test_what_cannot_be_meant_is_refused(view: TrainingView) -> None:
    with pytest.raises(InvalidInputError, match=r"80 materials .* make 130: make these fewer"):
        train.replay(view, train.CampaignPlan(known=30))
    with pytest.raises(UnknownNameError, match="did you mean 'greedy'"):
        train.replay(view, PLAN, ("greed",))
    with pytest.raises(InvalidInputError, match="each once"):
        train.replay(view, PLAN, ("greedy", "greedy"))
    with pytest.raises(InvalidInputError, match=r"has numbers in .* no class 'true'"):
        train.replay(view, train.CampaignPlan(known=10, picks=5, starts=2, classes=["true"]))
    with pytest.raises(InvalidInputError, match="leave top and smallest out"):
        train.CampaignPlan(top=3, classes=["true"])
    for name in ("known", "picks", "batch", "starts", "top"):
        with pytest.raises(InvalidInputError, match=f"{name} of a campaign must be"):
            train.CampaignPlan(**{name: 0})


def test_the_command(lab_store: FeatureStore, tmp_path: Path) -> None:
    def run(*words: str):  # type: ignore[no-untyped-def]
        given = ["screen", "replay", *words, "--store", lab_store.uri]
        return CliRunner().invoke(root, given)

    plan = ["--known", "10", "--picks", "8", "--batch", "4", "--starts", "2", "--top", "3"]
    features = ["--structure-encoder", "lab-edges"]
    figure, output = tmp_path / "r.png", tmp_path / "r.csv"
    shown = run(lab.PROPERTY, *features, *plan, "--figure", str(figure))
    assert shown.exit_code == 0, shown.output
    assert "over random" in shown.stdout and "by chance" in shown.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    written = run(lab.PROPERTY, *features, *plan, "--rule", "greedy", "-o", str(output))
    assert written.exit_code == 0, written.output
    assert output.read_text().startswith("rule,start,picks,material_id,found,best")
    assert run("slme", *features).exit_code == 1
    assert run(lab.PROPERTY).exit_code == 2
    assert run(lab.PROPERTY, *features, "--known", "0").exit_code == 2
