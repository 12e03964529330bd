"""``ingest table``: matminer's JSON, Hugging Face folders and files, rows that cannot be used."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_materials import atoms

from featurestore.cli import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore
from ingest import add_table
from ingest.recording import IncompleteError
from ingest.structures.tables import split_json
from ingest.structures.tables.split_json import read_split_json

COLUMN = ("e_form=formation_energy_peratom",)


def structure(a: float = 4.0, **changes: Any) -> dict[str, Any]:
    """A caesium chloride cell as pymatgen's ``as_dict`` writes it, with names that nobody loads."""
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": [place] * 3, "label": symbol}
        for symbol, place in (("Cs", 0.0), ("Cl", 0.5))
    ]
    return {
        "@module": "os",
        "@class": "system",
        "lattice": {"matrix": [[a, 0.0, 0.0], [0.0, a, 0.0], [0.0, 0.0, a]]},
        "sites": sites,
    } | changes


def cif(a: float = 4.0) -> str:
    return (
        f"data_x\n_cell_length_a {a}\n_cell_length_b {a}\n_cell_length_c {a}\n"
        "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
        "_symmetry_space_group_name_H-M 'P 1'\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
        "_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        "Cs1 Cs 0 0 0\nCl1 Cl 0.5 0.5 0.5\n"
    )


def split(*rows: list[Any], **changes: Any) -> dict[str, Any]:
    return {
        "index": [10 + number for number in range(len(rows))],
        "columns": ["structure", "e_form"],
        "data": list(rows),
    } | changes


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(tmp_path / "store", create=True)


def values(store: FeatureStore) -> dict[str, float]:
    rows = store.sql("SELECT material_id, value FROM properties ORDER BY 1").to_pylist()
    return {row["material_id"]: row["value"] for row in rows}


def test_a_matbench_file(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "matbench_mp_e_form.json.gz"
    document = split(*([structure(4 + n / 50), -n / 10] for n in range(4)))
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    result = add_table(store, path, columns=COLUMN)
    assert (result.written, result.outcomes[1].written) == (4, 4)
    assert values(store) == {f"matbench_mp_e_form/{10 + n}": -n / 10 for n in range(4)}
    (row,) = store.sql("SELECT DISTINCT dataset, source_file FROM materials").to_pylist()
    assert row == {"dataset": "matbench_mp_e_form", "source_file": path.name}
    assert any("no unit of e_form" in note for note in result.outcomes[0].notes)
    again = add_table(store, path, columns=COLUMN)
    assert (again.written, again.outcomes[0].present) == (0, 4)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather.arrow", "jsonl"])
def test_a_hugging_face_folder(store: FeatureStore, tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "set"
    for fold, start in (("train", 0), ("test", 2)):
        (folder / fold).mkdir(parents=True)
        rows = [
            {"id": f"m{n}", "cif": cif(4 + n / 50), "mbj_bandgap": n / 2, "note": "text"}
            for n in (start, start + 1)
        ]
        table, path = pa.Table.from_pylist(rows), folder / fold / f"data-00000.{suffix}"
        if suffix == "parquet":
            pq.write_table(table, path)
        elif suffix == "arrow":
            with pa.ipc.new_stream(path, table.schema) as writer:
                writer.write_table(table)
        elif suffix == "jsonl":
            path.write_text("\n".join(map(json.dumps, rows)))
        else:
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
        (folder / fold / "dataset_info.json").write_text("{}")
    (folder / "README.md").write_text("a card")
    assert add_table(store, folder).written == 4
    assert values(store) == {f"m{n}": n / 2 for n in range(4)}


def test_what_datasets_saves(store: FeatureStore, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"atoms": atoms(4 + n / 50), "jid": f"J-{n}", "slme": float(n)} for n in range(3)]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    assert add_table(store, tmp_path / "saved").written == 3
    assert values(store) == {f"J-{n}": float(n) for n in range(3)}


def test_structures_in_parquet_as_data_and_as_text(store: FeatureStore, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{"structure": structure()}]), tmp_path / "a.parquet")
    text = json.dumps(structure(4.1))
    pq.write_table(pa.Table.from_pylist([{"structure": text}]), tmp_path / "b.parquet")
    assert [add_table(store, tmp_path / f"{name}.parquet").written for name in "ab"] == [1, 1]
    ids = store.sql("SELECT material_id FROM materials ORDER BY 1")["material_id"].to_pylist()
    assert ids == ["a/0", "b/0"]


def test_rows_that_cannot_be_used_are_failures(store: FeatureStore, tmp_path: Path) -> None:
    mixed = structure()
    mixed["sites"][0]["species"] = [{"element": "Cs", "occu": 0.5}, {"element": "K", "occu": 0.5}]
    cells = [structure(), None, 7, "no CIF", "data_x\n_cell_length_a 4\n", mixed, {"a": 1}, "{"]
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(split(*([cell, 0.0] for cell in cells))))
    result = add_table(store, path)
    assert result.written == 1 and len(result.outcomes[0].failures) == len(cells) - 1
    assert all("odd.json, row" in f.message for f in result.outcomes[0].failures.values())
    assert add_table(store, path, ordered="nearest").written == 1


def test_a_cut_file_leaves_the_rows_before(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(split([structure(), 1.0], [structure(4.1), 2.0]))[:-60])
    with pytest.raises(IncompleteError, match="ends or breaks in the middle") as caught:
        add_table(store, path)
    assert caught.value.result.written == 1
    whole = gzip.compress(json.dumps(split([structure(), 1.0])).encode())
    (tmp_path / "cut.json.gz").write_bytes(whole[:-30])
    with pytest.raises(InvalidInputError, match="cannot read"):
        add_table(store, tmp_path / "cut.json.gz")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "does not begin with"),
        ('{"a": 1}', "no 'data'"),
        ('{"data": [], "columns": ["structure"]}', "before its columns"),
        ('{"columns": ["a", "a"], "data": []}', "one name"),
        ('{"columns": 7, "data": []}', "no list of names"),
        ('{"columns": ["structure"], "data": [[1, 2]]}', "row 0 has not"),
        ('{"columns": ["structure"], "index": [], "data": [[1]]}', "fewer"),
        ('{"columns": ["structure"], "data": 7}', "no list"),
        ('{"columns": ["structure"], "data": [' + "[" * 100_000, "nests too deep"),
        ('{"columns": ["a"], "data": [[1]]}', "no column with a usual name"),
        ("", "does not begin with"),
    ],
)
def test_what_is_no_table_is_refused(
    store: FeatureStore, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InvalidInputError, match=words):
        add_table(store, tmp_path / "bad.json")


def test_names_and_files_that_are_not_there(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(split([structure(), 1.0])))
    with pytest.raises(UnknownNameError, match="did you mean 'e_form'"):
        add_table(store, path, columns=["eform=formation_energy_peratom"])
    with pytest.raises(UnknownNameError, match="column"):
        add_table(store, path, structure="crystal")
    with pytest.raises(InvalidInputError, match="cannot read"):
        add_table(store, tmp_path / "absent.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="no table"):
        add_table(store, tmp_path / "empty")
    for name in ("a.parquet", "a.arrow"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(InvalidInputError, match="cannot read"):
            add_table(store, tmp_path / name)


def test_rows_come_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of the pieces, and with no more than a row and a piece in memory."""
    document = split(*([n, "x" * 50] for n in range(300)))
    text = json.dumps(document)
    for size in (1, 7, 64, 1 << 20):
        monkeypatch.setattr(split_json, "_CHUNK", size)
        stream = io.StringIO(text)
        rows = read_split_json(stream, "t")
        first = next(rows)
        assert first == (10, {"structure": 0, "e_form": "x" * 50})
        if size < 100:
            assert stream.tell() < len(text) / 2
        assert [index for index, _ in rows] == list(range(11, 310))


def test_the_command(store: FeatureStore, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(split([structure(), 1.0], [structure(4.1), 2.0])))
    words = ["ingest", "table", str(path), "--column", COLUMN[0], "--limit", "1"]
    root.main([*words, "--store", store.uri], standalone_mode=False)
    assert "materials: 1 written" in capsys.readouterr().out


def test_a_property_of_ones_own_is_known_from_then_on(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(split([structure(), -0.5])))
    with pytest.raises(UnknownNameError, match="NAME:UNIT"):
        add_table(store, path, columns=["e_form=cohesive_energy"])
    add_table(store, path, columns=["e_form=cohesive_energy:eV/atom"])
    rows = store.sql("SELECT property, value, unit FROM properties").to_pylist()
    assert rows == [{"property": "cohesive_energy", "value": -0.5, "unit": "eV/atom"}]
    path.write_text(json.dumps(split([structure(4.1), -0.6])))
    add_table(store, path, columns=["e_form=cohesive_energy"], dataset="b", replace=True)
    path.write_text(
        json.dumps(split([structure(4.2), -0.7], columns=["structure", "cohesive_energy"]))
    )
    add_table(store, path, dataset="c", replace=True)  # by the name of its column
    assert store.sql("SELECT sum(value) AS total FROM properties").to_pylist()[0]["total"] == (
        pytest.approx(-1.8)
    )
    with pytest.raises(InvalidInputError, match=r"is in eV/atom, not in meV"):
        add_table(store, path, columns=["cohesive_energy=cohesive_energy:meV"])


def test_two_columns_for_one_property(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    columns = ["structure", "band_gap", "gap"]
    path.write_text(json.dumps(split([structure(), 1.0, 2.0], columns=columns)))
    with pytest.raises(InvalidInputError, match="'gap' is taken as band_gap as well"):
        add_table(store, path, columns=["gap=band_gap"])
    with pytest.raises(InvalidInputError, match="are both taken as slme"):
        add_table(store, path, columns=["gap=slme", "band_gap=slme"])
