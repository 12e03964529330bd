"""An older store is brought to the present schema, all or nothing; a newer one is refused."""

from __future__ import annotations

from typing import Any

import lance
import pyarrow as pa
import pytest
from click.testing import CliRunner
from whole_store import PROPERTY, view_choices

from featurestore.cli import root
from featurestore.errors import StorageError
from featurestore.store import FeatureStore
from featurestore.tables.schema_version import KEY, SCHEMA_VERSION, NewerStoreError
from featurestore.tables.schemas import TABLES, TableSchema
from featurestore.upkeep.backup import table_digest
from featurestore.upkeep.migrate import Step, migrate, pending
from featurestore.upkeep.verify import verify

VERSION_1 = {
    "runs": "run_id command arguments versions status pid started_at ended_at git_commit counts "
    "message",
    "predictions": "model_id material_id fold target prediction run_id",
    "materials": "material_id structure_id dataset source_file formula prototype n_atoms volume "
    "space_group_number space_group crystal_system point_group lattice species frac_coords run_id",
    "models": "model_id predictor property unit features generator_id structure_encoder "
    "text_encoder variant split seed settings view_parameters view_sql view_fingerprint metrics "
    "history weights created_at run_id",
    "erasures": "model_id method variant material_id text_id target prediction erased_prediction "
    "run_id",
}


@pytest.fixture
def old(store) -> FeatureStore:
    """The store as version 1 wrote it: without the columns that were added since."""
    for table, columns in VERSION_1.items():
        dataset = store.dataset(table)
        if dataset is not None:
            added = set(dataset.schema.names) - set(columns.split())
            if added:
                dataset.drop_columns(sorted(added))
    return store


@pytest.mark.parametrize("table", VERSION_1)
def test_added_columns_are_nullable_and_last(table):
    """Lance compares schemas by order: a column in the middle would shut old tables out."""
    schema = TABLES[table].schema
    first = VERSION_1[table].split()
    assert schema.names[: len(first)] == first
    assert all(schema.field(name).nullable for name in schema.names[len(first) :])


def test_an_old_store_is_brought_up_to_date(old):
    before = old.training_view(PROPERTY, **view_choices()).fingerprint
    assert "runs" in {change.table for change in pending(old)}
    assert any("column 'host' is missing" in finding.problem for finding in verify(old))
    changed = migrate(old)
    assert pending(old) == [] and migrate(old) == []
    assert list(verify(old)) == []
    assert old.training_view(PROPERTY, **view_choices()).fingerprint == before
    assert [snapshot.name for snapshot in old.snapshots()] == [f"before-schema-{SCHEMA_VERSION}"]
    assert all(change.version == SCHEMA_VERSION for change in changed)


def test_a_store_of_today_needs_nothing(store):
    version = store.dataset("runs").version
    assert migrate(store) == [] and store.dataset("runs").version == version


def test_a_failure_undoes_everything(store, monkeypatch):
    import featurestore.upkeep.migrate as module

    applied = []

    def needed(dataset: Any, expected: TableSchema) -> str:
        return "" if expected.name in ("runs", "snapshots") or "note" in dataset.metadata else "x"

    def apply(dataset: Any, expected: TableSchema) -> None:
        dataset.update_metadata({"note": "1"})
        applied.append(expected.name)
        if len(applied) == 3:
            raise OSError("No space left on device")

    monkeypatch.setattr(module, "STEPS", (Step(SCHEMA_VERSION, needed, apply),))
    before = {name: table_digest(store.dataset(name)) for name in store.tables()}
    wanted = pending(store)
    with pytest.raises(StorageError, match="was undone: No space left"):
        migrate(store)
    assert len(applied) == 3 and pending(store) == wanted
    for name in set(before) - {"runs"}:
        assert table_digest(store.dataset(name)) == before[name]
    applied.extend("xxx")
    assert migrate(store) == wanted and pending(store) == []


@pytest.mark.parametrize("how", ["column", "stamp"])
def test_a_newer_store_is_refused(store, how):
    dataset = lance.dataset(f"{store.uri}/materials.lance")
    if how == "column":
        dataset.add_columns(pa.schema([pa.field("phonons", pa.string())]))
    else:
        dataset.update_metadata({KEY: str(SCHEMA_VERSION + 1)})
    with pytest.raises(NewerStoreError, match=r"later version of this package.*upgrade"):
        store.sql("SELECT 1")
    done = CliRunner().invoke(root, ["info", "--store", store.uri])
    assert isinstance(done.exception, NewerStoreError)


def test_command_line(old):
    dry = CliRunner().invoke(root, ["migrate", "--dry-run", "--store", old.uri])
    assert "runs: add the columns host, tables, empty" in dry.output
    assert CliRunner().invoke(root, ["migrate", "--store", old.uri]).exit_code == 0
    again = CliRunner().invoke(root, ["migrate", "--store", old.uri])
    assert "nothing to do" in again.output
