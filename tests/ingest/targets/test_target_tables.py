"""Target files of every form: what their columns and cells are, and what is said of others."""

from __future__ import annotations

import codecs
import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook, load_workbook

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.registry import Property, PropertyRegistry, load_registry
from ingest.library.targets import opened_targets
from ingest.targets.cells import parse_target, parse_targets
from ingest.targets.columns import ad_hoc_properties, columns_of, parse_columns
from ingest.targets.opening import open_table
from ingest.targets.table import Table


def cells(path: Path, *names: str, **options: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {name: [] for name in names}
    for batch in open_table(path, **options).batches(names):
        assert {len(column) for column in batch.columns.values()} <= {len(batch.numbers)}
        for name in names:
            found[name] += batch.columns[name]
    return found


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for y, row in enumerate(rows, start=1):
            for x, value in enumerate(row, start=1):
                sheet.cell(y, x).value = value
    book.save(path)
    return path


# Text with separators


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_separator_and_the_encoding_are_found_out(tmp_path, separator, encoding, end):
    rows = [["id", "slme", "Größe"], ["a", "1.5", "x"], ["b", "", f'"y{separator} ""z"""']]
    text = end.join(separator.join(row) for row in rows) + end
    path = written(tmp_path / "table", text, encoding)
    assert open_table(path).columns == ("id", "slme", "Größe")
    assert cells(path, "id", "slme", "Größe") == {
        "id": ["a", "b"],
        "slme": ["1.5", ""],
        "Größe": ["x", f'y{separator} "z"'],
    }


@pytest.mark.parametrize("numbers", [("1,5", "2,25"), ("1.5", "2.25")])
def test_a_decimal_comma_does_not_make_a_separator(tmp_path, numbers):
    path = written(tmp_path / "t.csv", f"id;slme\na;{numbers[0]}\nb;{numbers[1]}\n")
    assert cells(path, "slme") == {"slme": list(numbers)}


def test_single_quotes_and_lines_within_quotes(tmp_path):
    path = written(tmp_path / "t.csv", "'id';'slme'\n'a;b';'1'\n")
    assert cells(path, "id", "slme") == {"id": ["a;b"], "slme": ["1"]}
    path = written(tmp_path / "u.csv", 'id,note,slme\na,"two\nlines",1\n\nb,,2\n')
    [batch, *_] = open_table(path).batches(["id", "slme"])
    assert (batch.columns["slme"], list(batch.numbers)) == (["1", "2"], [3, 5])


def test_a_compressed_table_and_one_that_is_cut_off(tmp_path):
    text = "id,slme\n" + "".join(f"m{n},{n}\n" for n in range(9000))
    packed = gzip.compress(text.encode())
    (tmp_path / "t.csv.gz").write_bytes(packed)
    assert len(cells(tmp_path / "t.csv.gz", "slme")["slme"]) == 9000
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InvalidInputError, match=r"cut\.csv\.gz: its compression is damaged"):
        open_table(tmp_path / "cut.csv.gz")


def test_another_encoding_is_noted_wherever_it_shows(tmp_path):
    text = "id,slme,who\n" + "a,1,x\n" * 300_000 + "b,2,Jörg\n"
    table = open_table(written(tmp_path / "t.csv", text, "latin-1"))
    assert table.notes == ("encoding: not UTF-8, read as Latin-1",)
    assert sum(len(batch.numbers) for batch in table.batches(["id"])) == 300_001


def test_ragged_rows_are_refused_one_by_one(tmp_path):
    path = written(tmp_path / "t.csv", "id,slme\na,1\nb\nc,1,2\nd,4\n")
    batches = list(open_table(path).batches(["slme"]))
    assert [value for batch in batches for value in batch.columns["slme"]] == ["1", "4"]
    assert batches[0].refused == {
        3: "it has 1 cells, the header 2",
        4: "it has 3 cells, the header 2",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b",", "separators alone"),
        (b"sep=;\n;;\n;\n", "separators alone"),
        (b"id,slme\n", "has a header and no rows"),
        (b"id,slme\n\n\n", "has a header and no rows"),
        (b"just text\nof lines\n", "no table of several columns; its first line is 'just text'"),
        (b"id,slme,slme\na,1,2\n", "several columns are named 'slme'"),
        (b'id,slme\na,"1\nb,2\n', r"line 3: .*quotes may be open"),
        (b"id,slme\na,\x001\n", "zero bytes"),
        (codecs.BOM_UTF8 + b"id,slme\na,\xff\n", "is no utf-8-sig"),
        (b"\xd0\xcf\x11\xe0old", "Excel file of before 2007"),
        (b"PAR1" + b"x" * 50, "Parquet magic bytes not found"),
        (b"PK\x03\x04" + b"x" * 50, "not a zip file"),
        (gzip.compress(b"PAR1" + b"x" * 50, mtime=0), "unpack it first"),
        (b"{broken\n{}\n", "no line of it is a JSON object"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InvalidInputError, match=rf"t\.csv.*{message}"):
        for _ in open_table(tmp_path / "t.csv").batches([]):
            pass


def test_a_list_in_json_says_what_to_do(tmp_path):
    with pytest.raises(InvalidInputError, match="write one object a line"):
        open_table(written(tmp_path / "t.json", '[{"id": "a"}]'))
    with pytest.raises(InvalidInputError, match=r"there\.csv"):
        open_table(tmp_path / "there.csv")
    with pytest.raises(InvalidInputError, match="is no Excel workbook"):
        open_table(written(tmp_path / "t.csv", "id,slme\na,1\n"), sheet="one")


# JSON lines, Parquet, Excel


def test_json_lines(tmp_path):
    lines = ['{"id": "a", "slme": 1}', "", '{"id": "b", "ehull": 2.5}', "[1]", '{"id": 1, "id": 2}']
    path = written(tmp_path / "t.jsonl", "\n".join(lines))
    table = open_table(path)
    assert table.columns == ("id", "slme", "ehull")  # also a key that comes later
    [batch] = table.batches(["id", "slme", "ehull"])
    assert batch.columns == {"id": ["a", "b"], "slme": [1, None], "ehull": [None, 2.5]}
    assert list(batch.numbers) == [1, 3]
    assert batch.refused[4] == "no JSON object" and "stands twice" in batch.refused[5]


def test_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "slme": [1.5, None], "extra": [[1], [2]]}), path)
    assert open_table(path).columns == ("id", "slme", "extra")
    assert cells(path, "id", "slme") == {"id": ["a", "b"], "slme": [1.5, None]}
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), path)
    with pytest.raises(InvalidInputError, match="no rows"):
        open_table(path)


def test_excel(tmp_path):
    path = workbook(
        tmp_path / "t.xlsx",
        data=[[None], ["id", "slme", 2024], [17, 1.5, True], [None], ["b", None, "x"]],
        blank=[],
    )
    table = open_table(path)
    assert table.columns == ("id", "slme", "2024")
    [batch] = table.batches(["id", "slme", "2024"])
    assert batch.columns == {"id": [17, "b"], "slme": [1.5, None], "2024": [True, "x"]}
    assert list(batch.numbers) == [3, 5]


def test_errors_and_formulas_without_a_value_are_no_empty_cells(tmp_path):
    rows = [["id", "slme"], ["a", "#DIV/0!"], ["b", "=A1*2"], ["c", None]]
    found = cells(workbook(tmp_path / "t.xlsx", one=rows), "slme")["slme"]
    assert found == ["#DIV/0!", "=A1*2", None]
    assert "a spreadsheet's error" in parse_target(found[0]).message
    assert "is a formula whose value was not saved" in parse_target(found[1]).message


def test_percents_of_a_workbook_are_refused(tmp_path):
    """12.5% is shown and 0.125 saved: as a number it would be a hundredth of what is meant."""
    path = workbook(tmp_path / "t.xlsx", one=[["id", "slme", None], ["a", 0.125, 7], ["b", 12.5]])
    book = load_workbook(path)
    book["one"]["B2"].number_format = "0.00%"
    book.save(path)
    shown, plain = cells(path, "slme")["slme"]
    assert "shows 12.5% and 0.125 is saved: which is meant?" in shown.message and plain == 12.5
    assert open_table(path).notes == ("1 column without a name is left alone",)


def test_a_line_that_names_the_separator_to_excel(tmp_path):
    path = written(tmp_path / "t.csv", "sep=;\nid;slme;\na;1,5;x\n")
    assert cells(path, "slme") == {"slme": ["1,5"]}
    assert open_table(path).notes == ("1 column without a name is left alone",)


def test_the_sheets_of_a_workbook(tmp_path):
    rows = [["id", "slme"], ["a", 1]]
    path = workbook(tmp_path / "t.xlsx", one=rows, two=[["id", "ehull"], ["b", 2]])
    assert cells(path, "ehull", sheet="two") == {"ehull": [2.0]}
    with pytest.raises(InvalidInputError, match=r"several sheets, 'one', 'two'.*--sheet"):
        open_table(path)
    with pytest.raises(InvalidInputError, match="no sheet 'three'; it has 'one', 'two'"):
        open_table(path, sheet="three")
    with pytest.raises(InvalidInputError, match="no rows below a header"):
        open_table(workbook(tmp_path / "u.xlsx", one=rows[:1]))


# Columns


def table(*columns: str) -> Table:
    return Table(Path("t.csv"), columns, lambda wanted: iter(()))


def test_columns_by_their_names_and_as_given():
    registry = load_registry()
    found = columns_of(table("jid", "slme", "who", "band gap (eV)"), registry)
    assert (found.ids, list(found.targets)) == ("jid", ["slme"])
    assert "columns left alone: 'who', 'band gap (eV)'" in found.notes[0]
    found = columns_of(
        table("name", "slme", "band gap (eV)"), registry, "name", {"band gap (eV)": "mbj_bandgap"}
    )
    assert {column: one.name for column, one in found.targets.items()} == {
        "slme": "slme",
        "band gap (eV)": "mbj_bandgap",
    }
    assert found.notes == ("column 'band gap (eV)' read as mbj_bandgap in eV",)


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["name", "slme"], {}, "no column with the material ids.*--id-column.*name, slme"),
        (["id", "who"], {}, r"no column is a known property \('who'\).*--column 'who'=PROPERTY"),
        (["id"], {}, "it has no other columns"),
        (["id", "gap"], {"Gap": "slme"}, "unknown column 'Gap'; did you mean 'gap'"),
        (["id", "gap"], {"gap": "my_gap"}, "the registry has none that is the same"),
        (["id", "gap"], {"gap": "MBJ-bandgap"}, "did you mean 'mbj_bandgap'"),
        (["id", "slme", "x"], {"x": "slme"}, "columns 'slme' and 'x' are both slme"),
        (["id", "gap (meV)"], {"gap (meV)": "mbj_bandgap"}, "is in meV, mbj_bandgap in eV: conv"),
        (["id", "E / Ha"], {"E / Ha": "ehull"}, "is in Ha, ehull in eV/atom"),
        (["id", "E in eV"], {"E in eV": "ehull"}, "is in eV, ehull in eV/atom"),
        (["id", "gap_meV"], {"gap_meV": "mbj_bandgap"}, "is in meV, mbj_bandgap in eV"),
        (["id", "gap meV"], {"gap meV": "mbj_bandgap"}, "is in meV, mbj_bandgap in eV"),
    ],
)
def test_columns_that_cannot_be_used(names, given, message):
    with pytest.raises((InvalidInputError, UnknownNameError), match=message):
        columns_of(table(*names), load_registry(), columns=given)


@pytest.mark.parametrize(
    "name", ["m [µB]", "m (mu_B)", "m / μ_B", "m (PBE)", "m", "m_mu_B", "site_A"]
)
def test_a_unit_in_a_name_may_be_written_otherwise(name):
    found = columns_of(table("id", name), load_registry(), columns={name: "magmom_oszicar"})
    assert found.targets[name].unit == "mu_B"


def test_properties_of_ones_own():
    given = parse_columns(["T_m [K]=melting_temperature:K", "a=b=slme"])
    assert given == {"T_m [K]": "melting_temperature:K", "a=b": "slme"}
    assert ad_hoc_properties(given) == [Property("melting_temperature", "K")]
    for wrong in ("slme", "=slme", "x=", "x"):
        with pytest.raises(InvalidInputError, match="COLUMN=PROPERTY"):
            parse_columns([wrong])
    with pytest.raises(InvalidInputError, match="given twice"):
        parse_columns(["a=slme", "a=ehull"])
    for wrong in ("x y:K", "x:", ":K", "1x:K"):
        with pytest.raises(InvalidInputError, match="is no NAME:UNIT"):
            ad_hoc_properties({"x": wrong})
    with pytest.raises(InvalidInputError, match="materials have a column of this name"):
        ad_hoc_properties({"x": "Formula:1"})
    with pytest.raises(InvalidInputError, match=r"'slme' is in %, not in 1"):
        load_registry().extended([Property("slme", "1")])
    assert "new" in PropertyRegistry({}).extended([Property("new", "1")])


# Cells


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1,5", "has a comma.*--decimal comma"),
        ("1,234.5", "separators of thousands"),
        ("1 234", "separators of thousands"),
        ("1.2 eV", "has 'eV' after its number"),
        ("1.2±0.1", "after its number"),
        ("N/A", "stands for no value: leave the cell empty"),
        ("metal", "is text; targets are numbers, or classes of a property that has such"),
        ("true", "truth value; targets are numbers: write 1 and 0"),
        (np.True_, "truth value"),
        ("nan", "is not finite; leave the cell empty"),
        ("1_000", "is text|after its number"),
        ("١", "is text"),
        (datetime.date(2024, 1, 2), "is a date"),
        (b"1", "is no number"),
    ],
)
def test_cells_that_are_no_numbers_say_what_to_do(value, message):
    import re

    found = parse_target(value)
    assert isinstance(found, Failure) and re.search(message, found.message)
    _, refused = parse_targets([value, "1.5"])
    assert refused == {0: found}


def test_decimal_commas():
    assert [parse_target(one, ",") for one in ("1,5", "-2", " 3,25e-2 ", "", "na")] == [
        1.5,
        -2.0,
        0.0325,
        None,
        None,
    ]
    assert parse_target("1.5D-3") == parse_target("1,5d-3", ",") == 0.0015
    assert "which is meant" in parse_target("1.5", ",").message
    assert "thousands" in parse_target("1.234,5", ",").message


@pytest.mark.parametrize(
    "column",
    [
        ["1", "", "2.5e3"],
        ["1", " ", "x"],
        [1, None, 2.5],
        [Decimal("1.5"), None],
        [],
        ["1", 2, None],
    ],
)
def test_a_column_reads_like_its_cells(column):
    numbers, refused = parse_targets(column)
    for place, cell in enumerate(column):
        alone = parse_target(cell)
        assert isinstance(alone, Failure) == (place in refused)
        assert alone == numbers[place] or np.isnan(numbers[place])
        assert np.isnan(numbers[place]) == (alone is None or isinstance(alone, Failure))


def test_decimals_follow_a_point_or_a_comma(tmp_path):
    path = written(tmp_path / "t.jsonl", json.dumps({"id": "a", "slme": 1}))
    with pytest.raises(InvalidInputError, match=r"'\.' or ','"):
        opened_targets(path, load_registry(), decimal=";")
