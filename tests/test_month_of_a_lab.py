"""A month of a lab's life: data come, are corrected and removed; folds and models follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from optimade_entries import entry
from quirky_server import reply, serving
from tiny_alignn import write_tiny_alignn

from featurestore.cli import root
from featurestore.history.lineage import model_lineage
from featurestore.store import FeatureStore
from featurestore.upkeep.verify import verify
from train.models import StoredModel, stored_models

PROPERTY = "mbj_bandgap"
_CIF = """data_{name}
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cs1 Cs 0 0 0
Cl1 Cl 0.5 0.5 0.5
"""


class Lab:
    """A store and the commands that are typed at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = str(folder / "store")

    @property
    def store(self) -> FeatureStore:
        return FeatureStore.open(self.uri)

    def types(self, *words: object) -> str:
        result = CliRunner().invoke(root, [*map(str, words), "--store", self.uri])
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.output

    def is_sound(self) -> bool:
        return not [finding for finding in verify(self.store) if finding.wrong]

    def cifs(self, name: str, numbers: range) -> Path:
        folder = self.folder / name
        folder.mkdir()
        for i in numbers:
            (folder / f"s{i:02}.cif").write_text(_CIF.format(name=f"s{i:02}", a=4 + i / 50))
        return folder

    def targets(self, name: str, values: dict[int, float]) -> Path:
        path = self.folder / name
        lines = [f"s{i:02},{value}" for i, value in values.items()]
        path.write_text("\n".join([f"material_id,{PROPERTY}", *lines]))
        return path

    @property
    def encoder(self) -> str:
        [row] = self.store.sql("SELECT encoder_id FROM encoders").to_pylist()
        return str(row["encoder_id"])

    def folds(self) -> dict[str, str]:
        rows = self.store.sql("SELECT material_id, fold FROM splits WHERE split = 'mine'")
        return {row["material_id"]: row["fold"] for row in rows.to_pylist()}

    def gaps_of_others(self) -> list[dict[str, Any]]:
        rows = self.store.sql(
            "SELECT material_id, value FROM properties WHERE source = 'others' ORDER BY value"
        ).to_pylist()
        assert [row["value"] for row in rows] == [2.0, 3.0]
        return rows

    def models(self) -> list[StoredModel]:
        with self.store.session() as session:
            return stored_models(session)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The first week: twelve CIFs, their gaps, vectors, a split and a model."""
    lab = Lab(tmp_path)
    gaps = lab.targets("october.csv", {i: i / 10 for i in range(12)})
    lab.types("ingest", "structures", lab.cifs("october", range(12)), "--properties", gaps)
    write_tiny_alignn(tmp_path / "graphs")
    lab.types("ingest", "embeddings", "--encoder", tmp_path / "graphs")
    lab.types(*f"ingest splits --random 60/20/20 --property {PROPERTY} --name mine".split())
    view = ("--property", PROPERTY, "--split", "mine", "--structure-encoder", lab.encoder)
    lab.types("train", "fit", "mean", *view)
    return lab


@pytest.mark.slow
def test_a_month_of_a_labs_life(lab):
    assert lab.is_sound() and "Nothing is lacking." in lab.types("status")
    lab.types("snapshot", "create", "october")
    folds, [first] = lab.folds(), lab.models()

    # The second folder: six new materials; new targets, three of them corrections of old ones.
    gaps = lab.targets(
        "november.csv", {i: i / 10 for i in range(12, 18)} | {0: 7.0, 1: 8.0, 2: 9.0}
    )
    lab.types("ingest", "structures", lab.cifs("november", range(12, 18)), "--properties", gaps)
    assert lab.is_sound()
    said = lab.types("status")
    assert f"{PROPERTY}: 2 sources and no rule" in said
    assert f"6 materials with {PROPERTY} without a fold" in said
    assert "6 materials without a vector of their structure" in said

    # What others know of the lab's compounds: two more materials, a third source of the property.
    with serving() as server:
        known = [entry(f"q{i}", 6.0 + i, _quirk_gap=2.0 + i) for i in range(2)]
        server.total = len(known)
        server.routes["/v1/structures"] = [reply(server.page(0, data=known))]
        query = ("ingest", "optimade", server.base, "--filter", 'elements HAS "Cs"')
        lab.types(*query, "--column", f"_quirk_gap={PROPERTY}", "--dataset", "others", "--pause", 0)
    assert f"{PROPERTY}: 3 sources and no rule" in lab.types("status") and lab.is_sound()
    assert "3 materials for which they disagree" in lab.types(
        "properties", "prefer", PROPERTY, "november", "october", "others"
    )
    conflicts = lab.types("properties", "conflicts", PROPERTY)
    assert "november 9.0, october 0.2" in conflicts and "s03" not in conflicts
    assert lab.is_sound()

    # The split is extended and the model trained again, by one command that says so first.
    plan = lab.types("update", "--dry-run")
    assert "ingest splits --extend mine" in plan and "train fit mean" in plan
    assert len(lab.models()) == 1 and lab.folds() == folds
    assert "3 commands ran" in lab.types("update")
    assert folds.items() <= lab.folds().items() and len(lab.folds()) == 20
    assert "Nothing is lacking" in lab.types("update")
    assert lab.is_sound()
    [_, second] = lab.models()
    assert second.parameters.property_source == 'prefer ["november","october","others"]'
    train = [name for name, fold in lab.folds().items() if fold == "train"]
    assert [model.metrics["folds"]["train"]["n"] for model in (first, second)] == [8, 12]
    values = {f"s{i:02}": i / 10 for i in range(18)} | {"s00": 7.0, "s01": 8.0, "s02": 9.0}
    values |= {row["material_id"]: row["value"] for row in lab.gaps_of_others()}
    rows = lab.store.sql(
        "SELECT DISTINCT prediction FROM predictions WHERE model_id = ?", [second.model_id]
    ).to_pylist()
    assert rows[0]["prediction"] == pytest.approx(np.mean([values[name] for name in train]))

    # Last month's view is what it was, there and then.
    past = FeatureStore.open(lab.uri, at="october")
    old = past.training_view(PROPERTY, structure_encoder=lab.encoder, split="mine")
    assert old.fingerprint == first.view_fingerprint != second.view_fingerprint
    assert "materials" in lab.types("snapshot", "diff", "october")

    # One material was never measured rightly.
    lab.types("remove", "materials", "--where", "material_id = 's05'", "--yes")
    assert lab.is_sound()
    assert "1 gone" in lab.types("status")
    with lab.store.session() as session:
        for model in (first, second):
            lineage = model_lineage(session, model.model_id)
            assert lineage.facts["removed_since"] == ["material s05"]
    lab.types("update")
    [*_, third] = lab.models()
    assert len(lab.models()) == 3 and lab.is_sound()
    with lab.store.session() as session:
        facts = model_lineage(session, third.model_id).facts
    assert "removed_since" not in facts and "Nothing is lacking." in lab.types("status")

    # The past stands: the snapshot has the material and the model's view.
    rows = FeatureStore.open(lab.uri, at="october").sql("SELECT count(*) AS n FROM materials")
    assert rows.to_pylist() == [{"n": 12}]
