"""Targets from tables in the store: what is written, refused, matched, and under which source."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from made_up_materials import entry, ingest, write_archive

from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from featurestore.upkeep.renaming import carry_out_renaming
from featurestore.upkeep.renamings.materials import of_material
from featurestore.upkeep.renamings.properties import of_property
from ingest.library.targets import add_targets
from ingest.recording import NothingSucceededError


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open(tmp_path / "store", create=True)
    ingest_materials(store, tmp_path, "a", "b", "c")
    return store


def ingest_materials(store: FeatureStore, folder: Path, *names: str, **targets: float) -> None:
    entries = [entry(name, 4 + number, **targets) for number, name in enumerate(names)]
    ingest(store, write_archive(folder / "m.json.zip", entries))


def put(store: FeatureStore, folder: Path, text: str, name: str = "t.csv", **options: object):
    path = folder / name
    path.write_text(text, "utf-8")
    return add_targets(store, path, **options).outcomes[0]


def stored(store: FeatureStore) -> dict[str, float]:
    rows = store.sql("FROM properties ORDER BY material_id, property").to_pylist()
    assert {row["run_id"] for row in rows} <= set(store.sql("FROM runs")["run_id"].to_pylist())
    return {f"{row['material_id']} {row['property']}": row["value"] for row in rows}


def failures(store: FeatureStore) -> dict[str, str]:
    rows = store.sql("FROM failures WHERE stage = 'targets'").to_pylist()
    return {row["item"]: f"{row['error']}: {row['message']}" for row in rows}


def test_every_cell_is_in_one_count(store, tmp_path):
    text = "id,slme,ehull,who\na,1,0.5,x\nb,text,na,y\nd,3,,z\n,4,,\nc,5\nc,inf,7,\n"
    outcome = put(store, tmp_path, text)
    assert stored(store) == {"a ehull": 0.5, "a slme": 1.0, "c ehull": 7.0}
    assert (outcome.written, outcome.failed) == (3, 5)
    found = failures(store)
    where = str(tmp_path / "t.csv")
    assert found[f"{where}, line 6"].endswith("line 6: it has 2 cells, the header 4")
    assert found["b slme"].startswith(f"InvalidTarget: {where}, line 3, column 'slme': 'text' is")
    assert found["d slme"] == f"UnknownMaterial: {where}, line 4: the store has no material 'd'"
    assert "line 5: the row has no material id" in found[" slme"]
    assert "line 7, column 'slme': 'inf' is not finite" in found["c slme"]
    assert any("columns left alone: 'who'" in note for note in outcome.notes)
    again = put(store, tmp_path, "id,slme\na,1\nb,2\nc,3\n")
    assert (again.written, again.present) == (2, 1)
    assert "b slme" not in failures(store) and "c slme" not in failures(store)
    assert "d slme" in failures(store)


def test_the_source_is_the_data_set_or_what_is_named(store, tmp_path):
    outcome = put(store, tmp_path, "id,slme\na,1\n")
    assert any("recorded as 'd'" in note for note in outcome.notes)
    put(store, tmp_path, "id,slme\na,2\n", source="lab")
    rows = store.sql("SELECT source, value FROM properties ORDER BY ALL").to_pylist()
    assert rows == [{"source": "d", "value": 1.0}, {"source": "lab", "value": 2.0}]
    other = write_archive(tmp_path / "o.json.zip", [entry("z", 9)])
    from ingest.library.structures import add_structures

    add_structures(store, other, dataset="other")
    with pytest.raises(InvalidInputError, match=r"data sets \(d, other\).*--source-name"):
        put(store, tmp_path, "id,slme\na,1\nz,2\n")
    put(store, tmp_path, "id,slme\nz,2\n")  # of one data set alone
    assert "other" in store.sql("SELECT source FROM properties")["source"].to_pylist()


def test_values_that_the_store_has_otherwise(store, tmp_path):
    put(store, tmp_path, "id,slme\na,1\nb,2\n")
    outcome = put(store, tmp_path, "id,slme\na,1\nb,3\nc,4\n")
    assert (outcome.written, outcome.present, outcome.failed) == (1, 1, 1)
    assert "another value of slme for b from d; it stands" in failures(store)["b slme"]
    outcome = put(store, tmp_path, "id,slme\nb,3\n", replace=True)
    assert (stored(store)["b slme"], outcome.written) == (3.0, 1)
    assert failures(store) == {}


def test_two_values_for_one_are_both_refused(store, tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.targets.delimited.ROWS_A_BATCH", 2)  # also across batches
    text = "id,slme,ehull\na,1,5\na,1,6\nb,2,\na,1,5\nb,3,\nc,1,\nc,1,\n"
    outcome = put(store, tmp_path, text)
    assert stored(store) == {"a slme": 1.0, "c slme": 1.0}
    assert outcome.failed == 2
    assert "two values of ehull, in line 2 of" in failures(store)["a ehull"]
    assert "and in line 3 of" in failures(store)["a ehull"]
    assert "in line 4 of" in failures(store)["b slme"] and "line 6 of" in failures(store)["b slme"]
    assert any("4 cells repeat a value" in note for note in outcome.notes)


def test_two_files_are_read_as_one(store, tmp_path):
    first, second = tmp_path / "1.csv", tmp_path / "2.jsonl"
    first.write_text("id,slme\na,1\nb,2\n")
    second.write_text('{"id": "b", "slme": 3}\n{"id": "c", "ehull": 0.5}\n')
    add_targets(store, [first, second])
    assert stored(store) == {"a slme": 1.0, "c ehull": 0.5}
    assert f"line 3 of {first} and in line 1 of {second}" in failures(store)["b slme"]


def test_ids_with_the_suffix_of_a_file_are_matched_with_a_note(store, tmp_path):
    outcome = put(store, tmp_path, "id,slme\na.cif,1\nb.vasp.gz,2\nc.txt,3\n")
    assert stored(store) == {"a slme": 1.0, "b slme": 2.0}
    assert any("2 ids matched without their suffix, for example a.cif" in n for n in outcome.notes)
    assert "no material 'c.txt'" in failures(store)["c.txt slme"]


def test_thousands_in_a_column_of_decimal_commas_are_no_decimals(store, tmp_path):
    outcome = put(store, tmp_path, "id;slme;ehull\na;1.234;0.125\nb.cif;1,5;0.5\nc;2.5;1\n")
    assert stored(store) == {"a ehull": 0.125, "b ehull": 0.5, "c ehull": 1.0, "c slme": 2.5}
    assert outcome.failed == 2
    assert "'1.234' may be thousands, as other cells" in failures(store)["a slme"]
    assert "--decimal comma" in failures(store)["b.cif slme"]


@pytest.mark.parametrize("row", [",meV", ",PBE", "unit,(meV)"])
def test_a_second_row_of_names_is_refused_with_its_file(store, tmp_path, row):
    with pytest.raises(InvalidInputError, match="a second row of names or units"):
        put(store, tmp_path, f"id,mbj_bandgap\n{row}\na,1500\n")
    assert not stored(store)


def test_names_that_were_given_up(store, tmp_path):
    put(store, tmp_path, "id,slme\na,1\n")
    for plan, new in ((of_property, "efficiency"), (of_material, "b2")):
        with store.session() as session:
            renaming = plan(session, "slme" if plan is of_property else "b", new)
        carry_out_renaming(store, renaming)
    outcome = put(store, tmp_path, "id,slme\na,3\nb,4\n")
    assert any("it is efficiency now: --column 'slme'=efficiency" in n for n in outcome.notes)
    assert "no material 'b', it has 'b2'" in outcome.failures["b slme"].message


def test_ids_that_are_numbers(store, tmp_path):
    ingest_materials(store, tmp_path, "17")
    hint = put(store, tmp_path, "id,slme\n017,1\nA,2\nx,3\n0,\na,4\n").failures
    assert "no material '017', it has '17'" in hint["017 slme"].message
    assert "no material 'A', it has 'a'" in hint["A slme"].message
    assert hint["x slme"].message.endswith("no material 'x'")
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"id": 17, "slme": 1}) + "\n" + json.dumps({"id": 17.0, "ehull": 2}))
    add_targets(store, path)
    assert stored(store) == {"17 slme": 1.0, "17 ehull": 2.0, "a slme": 4.0}


def test_a_property_of_ones_own_is_known_from_then_on(store, tmp_path):
    put(store, tmp_path, "id,T\na,1000\n", columns={"T": "melting_temperature:K"})
    put(store, tmp_path, "id,melting_temperature\nb,900\n")
    put(store, tmp_path, "id,T\nc,800\n", columns={"T": "melting_temperature"})
    rows = store.sql("SELECT DISTINCT property, unit FROM properties").to_pylist()
    assert rows == [{"property": "melting_temperature", "unit": "K"}]
    with pytest.raises(InvalidInputError, match="'melting_temperature' is in K, not in C"):
        put(store, tmp_path, "id,T\nc,800\n", columns={"T": "melting_temperature:C"})
    with store.session() as session:
        from featurestore.query.conditions import materials_where

        found = materials_where(session, "melting_temperature > 850")
    assert sorted(found["material_id"].to_pylist()) == ["a", "b"]


def test_nothing_is_written_of_a_file_that_breaks_off(store, tmp_path):
    with pytest.raises(InvalidInputError, match=r"line 4.*quotes"):
        put(store, tmp_path, 'id,slme\na,1\nb,"2\nc,3\n')
    assert stored(store) == {}


def test_a_file_of_which_nothing_succeeds(store, tmp_path):
    with pytest.raises(NothingSucceededError, match="none of the 2 targets succeeded"):
        put(store, tmp_path, "id,slme\nx,1\na,text\n")
    [row] = store.sql("FROM runs WHERE command = 'ingest targets'").to_pylist()
    assert row["status"] == "failed" and json.loads(row["counts"]) == {"failed": 2}
    outcome = put(store, tmp_path, "id,slme\na,\nb,na\n")  # nothing to do is no failure
    assert any("no cell of 'slme' has a value" in note for note in outcome.notes)


def test_failures_beyond_a_number_are_counted(store, tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.pipeline.outcome.MOST_FAILURES", 3)
    text = "id,slme\na,1\n" + "".join(f"x{n},1\n" for n in range(5)) + "b,text\n"
    outcome = put(store, tmp_path, text)
    assert (outcome.written, outcome.failed, len(failures(store))) == (1, 6, 3)
    shown = "\n".join(outcome.summary())
    assert "5 × UnknownMaterial" in shown and "1 × InvalidTarget" in shown
    assert "the first 3 are in the table failures, the other 3 are only counted" in shown


@pytest.mark.slow
def test_memory_follows_the_store_and_not_the_file(store, tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.targets.delimited.ROWS_A_BATCH", 500)
    monkeypatch.setattr("ingest.pipeline.outcome.MOST_FAILURES", 10)
    peaks = []
    monkeypatch.setattr("ingest.targets.text._CHUNK", 4096)
    for rows in (20_000, 100_000):
        text = "id,slme\na,1\n" + "".join(f"unknown-{n},{n}\n" for n in range(rows))
        (tmp_path / "t.csv").write_text(text)
        add_targets(store, tmp_path / "t.csv")  # what is loaded once
        tracemalloc.start()
        add_targets(store, tmp_path / "t.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_command(store, tmp_path):
    from click.testing import CliRunner

    from ingest.cli.targets import targets

    (tmp_path / "t.csv").write_text("sample;gap (eV);remark\na.cif;1,5;x\nb;2;y\n")
    words = [str(tmp_path / "t.csv"), "--id-column", "sample", "--decimal", "comma"]
    words += ["--column", "gap (eV)=mbj_bandgap", "--store", store.uri]
    result = CliRunner().invoke(targets, [*words, "--source-name", "lab"], catch_exceptions=False)
    assert "targets: 2 written, 0 already there, 0 failed" in result.output
    assert "columns left alone: 'remark'" in result.output
    assert stored(store) == {"a mbj_bandgap": 1.5, "b mbj_bandgap": 2.0}
    (tmp_path / "t.csv").write_text("sample;gap (eV)\nz;1\n")
    failed = CliRunner().invoke(targets, words)
    assert isinstance(failed.exception, NothingSucceededError)
    assert "1 × UnknownMaterial" in failed.output
    missing = CliRunner().invoke(targets, [*words[:-1], str(tmp_path / "nowhere")])
    assert "nowhere" in str(missing.exception)
    assert not (tmp_path / "nowhere").exists()
