"""Candidates from files and from the store are ranked by what is wanted of both properties."""

from __future__ import annotations

from pathlib import Path

import forecast_lab as lab
import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from tiers import few

import train
from featurestore.cli.root import root
from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.output.figures import figure_models
from featurestore.store import FeatureStore

GAP, HULL = lab.PROPERTY, "ehull"
WANTS = [f"{GAP} between 1.5 and 2.1", f"{HULL} < 0.1"]
# fulfils both, only the gap, only the hull, neither
EDGES = {"both": 3.413, "gap": 6.113, "hull": 4.113, "none": 5.013}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return lab.candidates(tmp_path / "new", EDGES)


def rows(screening: train.Screening) -> dict[str, dict[str, object]]:
    return {row["material_id"]: row for row in screening.table.to_pylist()}


@pytest.mark.slow
def test_the_probability_of_all_wants_ranks(pair_store: FeatureStore, files: Path) -> None:
    found = train.screen(pair_store, WANTS, files, choice=train.Choice(budget=2))
    assert found.chosen_ids[0] == "both" and len(found.chosen) == 2
    by_id = rows(found)
    assert [row["rank"] for row in by_id.values()] == [1, 2, 3, 4]
    for row in by_id.values():
        p, q = row[f"{GAP}_probability"], row[f"{HULL}_probability"]
        assert row["joint"] == pytest.approx(p * q)
        assert row["joint_at_least"] == pytest.approx(max(0, p + q - 1))
        assert row["joint_at_most"] == min(p, q)
        assert not row[f"{GAP}_known"] and row[f"{GAP}_std"] > 0
        assert row[f"{GAP}_lower"] < row[f"{GAP}_value"] < row[f"{GAP}_upper"]
    assert by_id["both"]["joint"] > 0.5
    assert by_id["gap"][f"{GAP}_probability"] > 0.5 > by_id["gap"][f"{HULL}_probability"]
    assert by_id["hull"][f"{HULL}_probability"] > 0.5 > by_id["hull"][f"{GAP}_probability"]
    assert by_id["both"]["pareto"] and not by_id["none"]["pareto"]
    assert any(
        "as if the errors of different properties were independent" in n for n in found.notes
    )
    assert any("signed errors of 20 validation rows" in note for note in found.notes)
    assert "both" in repr(found) and "<table" in found._repr_html_()
    # as 'predict' says
    told = train.predict(pair_store, files, properties=GAP)
    assert {row.material_id: row.prediction for row in told.rows} == {
        name: row[f"{GAP}_value"] for name, row in by_id.items()
    }


@pytest.mark.slow
def test_known_values_stand_in_place_of_predictions(pair_store: FeatureStore) -> None:
    where = "material_id >= 'known-60'"
    found = train.screen(pair_store, WANTS, where=where)
    values = {
        row["material_id"]: row["value"]
        for row in pair_store.sql("FROM properties WHERE property = ?", [GAP]).to_pylist()
    }
    for name, row in rows(found).items():
        assert row[f"{GAP}_known"] and row[f"{GAP}_value"] == values[name]
        assert row[f"{GAP}_lower"] == row[f"{GAP}_upper"] == values[name]
        assert row["joint"] in (0.0, 1.0)
        assert row["chosen"] == (row["joint"] == 1.0)
    assert 0 < len(found.chosen) < 10
    assert any("chosen, of a budget of 10: no other candidate" in note for note in found.notes)
    # nothing is left to calculate
    batch = train.screen(pair_store, WANTS, where=where, choice=train.Choice(acquire="uncertainty"))
    assert not batch.chosen
    assert any(
        "20 candidates are not chosen: all wanted of them is known" in n for n in batch.notes
    )
    predicted = train.screen(
        pair_store, WANTS, where=where, choice=train.Choice(predict_known=True)
    )
    assert len(predicted.chosen) == 10
    assert not any(row[f"{GAP}_known"] for row in rows(predicted).values())


@pytest.mark.slow
def test_a_value_of_another_source_is_not_known(pair_store: FeatureStore, files: Path) -> None:
    train.predict(pair_store, files, properties=GAP)
    with pair_store.run("made up", {}) as run:
        given = {"property": HULL, "unit": "eV/atom", "run_id": run.run_id}
        pair_store.merge_rows(
            "properties",
            [
                given | {"material_id": "both", "source": "another release", "value": 4.0},
                given | {"material_id": "hull", "source": "lab", "value": 0.01},
            ],
        )
    source = pair_store.sql("SELECT DISTINCT source FROM properties WHERE property = ?", [HULL])
    assert "lab" in source["source"].to_pylist()
    by_id = rows(train.screen(pair_store, [f"{HULL} < 0.1"], ids=list(EDGES)))
    assert not by_id["both"][f"{HULL}_known"] and by_id["both"]["joint"] > 0.5
    assert by_id["hull"][f"{HULL}_known"] and by_id["hull"][f"{HULL}_value"] == 0.01


@pytest.mark.slow
def test_another_structure_by_the_same_name_is_not_known(
    pair_store: FeatureStore, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {"known-61": EDGES["both"], "mine": lab.edge(61)})
    by_id = rows(train.screen(pair_store, [f"{HULL} < 0.1"], files, keep=False))
    assert not by_id["known-61"][f"{HULL}_known"] and not by_id["mine"][f"{HULL}_known"]
    files = lab.candidates(tmp_path / "same", {"known-61": lab.edge(61)})
    (row,) = rows(train.screen(pair_store, [f"{HULL} < 0.1"], files, keep=False)).values()
    assert row[f"{HULL}_known"]


@pytest.mark.slow
def test_a_goal_is_held_against_the_best_known_that_fulfils_the_windows(
    pair_store: FeatureStore, files: Path
) -> None:
    goal = f"maximise {GAP}"
    choice = train.Choice(acquire="expected-improvement")
    alone = train.screen(pair_store, [goal], files, choice=choice)
    stored = {
        row["material_id"]: row["value"]
        for row in pair_store.sql("FROM properties WHERE property = ?", [GAP]).to_pylist()
    }
    assert alone.told[0].outlook.best == max(stored.values())
    windowed = train.screen(pair_store, [goal, f"{HULL} < 0.1"], files, choice=choice)
    low = pair_store.sql(
        "SELECT material_id FROM properties WHERE property = ? AND value < 0.1", [HULL]
    )["material_id"].to_pylist()
    assert windowed.told[0].outlook.best == max(stored[name] for name in low)
    assert windowed.chosen_ids[0] == "both"
    nobody = train.screen(pair_store, [goal, f"{HULL} > 4"], files, choice=choice)
    assert nobody.told[0].outlook.best == max(stored.values())
    assert any("no known material fulfils ehull > 4" in note for note in nobody.notes)
    smallest = train.screen(pair_store, [f"minimise {GAP}"], files)
    assert smallest.told[0].outlook.best == min(stored.values())


@pytest.mark.slow
def test_families_are_limited(pair_store: FeatureStore, tmp_path: Path) -> None:
    folder = lab.candidates(tmp_path / "new", {f"n{i}": 3.4 + i / 100 for i in range(5)})
    (folder / "other.vasp").write_text(lab.poscar(4.4, ("Rb", "I")))
    for name in ("per_prototype", "per_chemsys"):
        found = train.screen(pair_store, WANTS, folder, choice=train.Choice(**{name: 2}))
        assert len(found.chosen) == (2 if name == "per_prototype" else 3)
        assert any("limits for its family" in note for note in found.notes)


@pytest.mark.slow
def test_candidates_outside_the_domain_are_flagged_or_left_out(
    pair_store: FeatureStore, files: Path
) -> None:
    (files / "rubidium.vasp").write_text(lab.poscar(3.4, ("Rb", "Cl")))
    (files / "huge.vasp").write_text(lab.poscar(29.0))
    by_id = rows(train.screen(pair_store, WANTS, files))
    assert "element Rb" in by_id["rubidium"]["outside"]
    assert "farther than 100 %" in by_id["huge"]["outside"]
    assert by_id["both"]["outside"] == ""
    inside = train.screen(pair_store, WANTS, files, choice=train.Choice(inside=True))
    assert set(rows(inside)) == set(EDGES)
    assert any("2 candidates outside the domain left out" in note for note in inside.notes)
    unknown = files / "xenon.vasp"
    unknown.write_text(lab.poscar(3.4, ("Xe", "Cl")))
    with pytest.raises(InvalidInputError, match=r"\(2\) are outside.*without --inside") as error:
        train.screen(
            pair_store,
            WANTS,
            unknown,
            ids=["huge", "rubidium"],
            choice=train.Choice(inside=True),
        )
    assert "1 could not be predicted, as xenon: " in str(error.value)


@pytest.mark.slow
def test_a_candidate_that_is_listed_twice_is_one(
    pair_store: FeatureStore, files: Path, tmp_path: Path
) -> None:
    (files / "twin.vasp").write_text(lab.poscar(EDGES["both"]))
    found = train.screen(pair_store, WANTS, [files, files / "both.vasp"])
    assert sorted(rows(found)) == ["both", "gap", "hull", "none"]
    assert any("twin with both" in note for note in found.notes)
    again = train.screen(pair_store, WANTS, ids=["both", "both", "gap"])
    assert len(again.materials) == 2


@pytest.mark.slow
def test_what_cannot_be_meant_is_refused(
    pair_store: FeatureStore, pair_models: dict[str, str]
) -> None:
    def refused(kind: type[Exception], match: str, wants: list[str], **more: object) -> None:
        before = pair_store.sql("SELECT count(*) AS n FROM runs")["n"][0].as_py()
        with pytest.raises(kind, match=match):
            train.screen(pair_store, wants, ids=["known-61"], **more)
        assert pair_store.sql("SELECT count(*) AS n FROM runs")["n"][0].as_py() == before

    refused(InvalidInputError, "no width", [f"{GAP} = 1"])
    refused(InvalidInputError, "contradict", [f"{GAP} < 1", f"{GAP} > 2"])
    refused(UnknownNameError, "did you mean 'mbj_bandgap'", ["mbj_bandgop < 1"])
    refused(MissingDataError, r"no model of property 'slme'.*train ensemble", ["slme > 10"])
    refused(InvalidInputError, "in meV, the models predict eV", [f"{GAP} < 100 meV"])
    refused(InvalidInputError, "no material fulfils", [f"{GAP} < -1"])
    refused(
        InvalidInputError,
        "needs one property to improve",
        WANTS,
        choice=train.Choice(acquire="expected-improvement"),
    )
    refused(
        InvalidInputError, "of which nothing is wanted", [f"{GAP} < 1"], models=[pair_models[HULL]]
    )
    other = lab.train_lab(pair_store, n_estimators=5)
    refused(InvalidInputError, "two models of", [f"{GAP} < 1"], models=[pair_models[GAP], other])
    refused(InvalidInputError, "none is chosen", [f"{GAP} < 1"])
    named = train.screen(pair_store, [f"{GAP} < 3"], ids=["known-61"], models=[other])
    assert named.models[0].model_ids == [other]
    with pytest.raises(InvalidInputError, match="name structure files"):
        train.screen(pair_store, WANTS, models=[other])


@pytest.mark.slow
def test_what_says_nothing_of_its_errors_has_no_probability(
    pair_store: FeatureStore, pair_models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.forecasts import predictor
    from train.forecasts.calibration import Calibration

    load = predictor.load_group

    def without_validation(*arguments):  # type: ignore[no-untyped-def]
        group = load(*arguments)
        nothing = Calibration.of(np.empty(0), None, None)
        object.__setattr__(group.knowledge, "calibration", nothing)
        return group

    monkeypatch.setattr(predictor, "load_group", without_validation)
    with pytest.raises(MissingDataError, match=r"do not say how large their errors are.*9 mat"):
        train.screen(
            pair_store, [f"{GAP} < 1"], ids=["known-61"], choice=train.Choice(predict_known=True)
        )
    assert train.screen(pair_store, [f"{GAP} < 9"], ids=["known-61"]).chosen_ids == ["known-61"]


@pytest.mark.slow
def test_the_command(pair_store: FeatureStore, files: Path, tmp_path: Path) -> None:
    def run(*words: str):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(root, ["screen", *words, "--store", pair_store.uri])

    wants = [word for want in WANTS for word in ("--want", want)]
    figure, folder, table = tmp_path / "s.png", tmp_path / "next", tmp_path / "all.parquet"
    (files / "broken.cif").write_text("data_x\nloop_\n_atom")
    before = dict(pair_store.sql("SELECT count(*) AS n FROM forecasts").to_pylist()[0])
    shown = run(
        *(str(files), *wants, "--budget", "2", "--figure", str(figure), "--no-store"),
        *("--structures", str(folder), "--id", "known-61"),
    )
    assert shown.exit_code == 0, shown.output
    assert "both" in shown.stdout and "none" not in shown.stdout
    assert "Failed: 1 ×" in shown.stderr and "broken" in shown.stderr
    assert dict(pair_store.sql("SELECT count(*) AS n FROM forecasts").to_pylist()[0]) == before
    assert len(figure_models(figure)) == 2
    assert sorted(path.name for path in folder.iterdir())[0] == "01_both.cif"
    written = run(str(files), *wants, "--figure", str(figure), "-o", str(table))
    assert written.exit_code == 0, written.output
    assert len(parquet.read_table(table)) == 4
    csv = run("candidates", str(files), *wants, "--format", "csv")
    assert csv.stdout.startswith("rank,chosen,material_id,") and "none" in csv.stdout
    single = run(str(files), "--want", f"maximise {GAP}", "--figure", str(figure))
    assert single.exit_code == 0, single.output
    nothing = run("--id", "known-61", *wants, "--acquire", "probability")
    assert nothing.exit_code == 1 and "could be chosen" in str(nothing.exception)
    failing = run(str(files / "broken.cif"), *wants)
    assert failing.exit_code == 1 and "broken" in failing.output
    assert run(*wants).exit_code == 2
    assert run(str(files), *wants, "--budget", "0").exit_code == 2
    assert run(str(files)).exit_code == 2


@pytest.mark.parametrize("format", few(["cif", "poscar"], 1))
@pytest.mark.slow
def test_structure_files_hold_the_chosen_structures(
    pair_store: FeatureStore, files: Path, tmp_path: Path, format: str
) -> None:
    import ase.io

    found = train.screen(pair_store, WANTS, files, choice=train.Choice(budget=3))
    written = train.write_structures(found, tmp_path / "out", format)
    assert [path.stem for path in written] == [
        f"0{number}_{name}" for number, name in enumerate(found.chosen_ids, 1)
    ]
    for path, name in zip(written, found.chosen_ids, strict=True):
        atoms = ase.io.read(path)
        a = EDGES[name]
        assert atoms.cell.lengths() == pytest.approx([a, a, a], abs=1e-12)
        assert sorted(atoms.get_chemical_symbols()) == ["Cl", "Cs"]
        assert isinstance(found.crystals[name], Crystal)
    with pytest.raises(InvalidInputError, match="cif, poscar"):
        train.write_structures(found, tmp_path, "xyz")
