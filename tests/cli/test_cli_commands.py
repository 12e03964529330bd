"""The command line as a user meets it: help, one-line errors, exit codes, light imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet as pq
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from featurestore.cli import main
from featurestore.cli.root import root
from featurestore.cli.without_pandas import keep_pandas_out
from featurestore.errors import ConflictError
from featurestore.identity import sha256_hex
from featurestore.store import FeatureStore
from ingest.sample import sample_archive

HEAVY = ("torch", "transformers", "alignn", "robocrys", "pymatgen", "jarvis", "lancedb")


def all_commands(
    command: click.Command = root, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            found += all_commands(inner, (*path, name))
    return found


COMMANDS = all_commands()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("cli") / "store", 10)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(root, arguments, catch_exceptions=False)


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Exit code, output and errors of the command as the console script runs it."""
    monkeypatch.setattr(sys, "argv", ["featurestore", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, output.out, output.err


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=[" ".join(p) or "root" for p, _ in COMMANDS]
)
def test_every_command_has_help(path, command):
    short, long = invoke(*path, "-h"), invoke(*path, "--help")
    assert short.exit_code == long.exit_code == 0
    assert short.output == long.output
    assert short.output.startswith(f"Usage: root {' '.join(path)}".rstrip())
    first = (command.help or "").strip().split("\n\n")[0]
    assert first.endswith((".", ":")), "the first line of the help is a sentence"
    if not isinstance(command, click.Group):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.name} is not described"


def test_the_groups_of_all_rooms_are_found():
    names = {" ".join(path) for path, _ in COMMANDS}
    assert {
        "sql",
        "view",
        "info",
        "demo",
        "ingest structures",
        "ingest jarvis",
        "ingest sample",
        "ingest splits",
        "ingest text",
        "ingest embeddings",
        "models pull",
        "models list",
        "train mlp",
        "train report",
        "explain tags",
    } <= names
    assert "ingest" in invoke().output or "ingest" in invoke("-h").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingets"], "No such command 'ingets'"),
        (["ingest", "strctures"], "No such command 'strctures'"),
        (["sql"], "Missing argument 'QUERY'"),
        (["sql", "SELECT 1", "--fromat", "csv"], "No such option"),
        (["sql", "SELECT 1", "--format", "xml"], "'xml' is not one of"),
        (["ingest", "structures"], "Missing argument"),
        (
            ["ingest", "splits", "--store", "{store}"],
            "one of split FILES, --random, --sample, --folds, --leave-out, --extend and --like",
        ),
        (
            ["ingest", "splits", "a.json", "--random", "80/10/10"],
            "FILES, --random, --sample, --folds, --leave-out, --extend and --like",
        ),
        (["ingest", "splits", "--sample", "s"], "--sample, which needs --at-most"),
        (["ingest", "splits", "a.json", "--where", "true"], "--where go with --sample"),
        (["ingest", "splits", "--sample", "s", "--at-most", "4/2/1"], "needs the --property"),
        (["ingest", "text", "--text", "chemnlp", "--workers", "0"], "--workers"),
        (["ingest", "text"], "Missing option '--text'"),
        (["view", "mbj_bandgap", "--store", "{store}"], "--structure-encoder"),
    ],
)
def test_misuse_is_exit_code_2(capsys, monkeypatch, store, arguments, message):
    arguments = [argument.format(store=store.uri) for argument in arguments]
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert (code, out) == (2, "")
    assert message in err and "Traceback" not in err
    assert err.startswith("Usage: featurestore")


def test_an_unknown_command_suggests(capsys, monkeypatch):
    assert "'ingest'" in run(capsys, monkeypatch, "ingst")[2]
    assert "'structures'" in run(capsys, monkeypatch, "ingest", "structure")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "--store", "{tmp}/nowhere"], "there is no store at {tmp}/nowhere; make one with"),
        (["sql", "SELECT 1", "--store", "{tmp}/file"], "is a file; a store is a folder"),
        (["sql", "DROP VIEW materials", "--store", "{store}"], "read-only: DROP"),
        (["sql", "FROM material", "--store", "{store}"], "material does not exist"),
        (["sql", "SELECT 1", "-o", "{tmp}/x.doc", "--store", "{store}"], "cannot tell the format"),
        (
            ["view", "mbj_gap", "--structure-encoder", "toy-graph", "--store", "{store}"],
            "unknown property 'mbj_gap'; did you mean 'mbj_bandgap'?",
        ),
        (["ingest", "structures", "{tmp}/missing.zip", "--store", "{tmp}/s"], "missing.zip"),
        (["ingest", "text", "--text", "robocris", "--store", "{store}"], "unknown text source"),
        (["ingest", "splits", "{tmp}/missing.json", "--store", "{store}"], "missing.json"),
        (["ingest", "splits", "--random", "8/2", "--store", "{store}"], "80/10/10; got '8/2'"),
        (
            ["ingest", "splits", "--random", "8/1/1", "--property", "slm", "--store", "{store}"],
            "unknown property 'slm'",
        ),
        (["ingest", "embeddings", "--encoder", "alignn-fff", "--store", "{store}"], "'alignn-ff'"),
    ],
)
def test_failure_is_one_line_and_exit_code_1(
    capsys, monkeypatch, store, tmp_path, arguments, message
):
    (tmp_path / "file").write_text("")
    places = {"tmp": tmp_path, "store": store.uri}
    arguments = [argument.format(**places) for argument in arguments]
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ") and message.format(**places) in err
    assert "Traceback" not in err


def test_a_cut_archive_is_an_error_alone_and_one_failure_among_others(
    capsys, monkeypatch, tmp_path
):
    cut = tmp_path / "cut.json.zip"
    cut.write_bytes(sample_archive().read_bytes()[:5000])
    to_store = ["--store", str(tmp_path / "s")]
    code, out, err = run(capsys, monkeypatch, "ingest", "structures", str(cut), *to_store)
    assert code == 1 and err.startswith(f"Error: {cut} is damaged") and "fetch it again" in err
    whole = str(sample_archive())
    code, out, err = run(capsys, monkeypatch, "ingest", "structures", str(cut), whole, *to_store)
    assert code == 0 and "materials: 70 written, 0 already there, 1 failed" in out
    assert "cut.json.zip" in out and "fetch it again" in out


def test_an_interruption_says_how_to_go_on(capsys, monkeypatch, store):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("featurestore.query.running.run_query", interrupted)
    code, _, err = run(capsys, monkeypatch, "sql", "SELECT 1", "--store", store.uri)
    assert code == 130 and "the same command goes on" in err


def imported(*arguments: str) -> tuple[set[str], str]:
    """The packages that a command has imported, and what it printed."""
    script = (
        "import sys; from featurestore.cli import main\n"
        "try: main()\n"
        "finally: print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stderr.split()}, done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    modules, output = imported(*arguments)
    assert not modules & {*HEAVY, "lance", "duckdb", "pyarrow", "numpy", "ingest", "train"}
    assert "featurestore" in output or "Commands" in output


@pytest.mark.parametrize("group", ["ingest", "models", "train", "explain"])
def test_help_of_a_group_imports_no_model_library(group):
    modules, _ = imported(group, "--help")
    assert not modules & {*HEAVY}


def test_info_imports_what_it_needs_to_read(store):
    modules, output = imported("info", "--store", store.uri)
    assert not modules & {*HEAVY, "pandas"}
    assert "toy: 10 materials" in output


def test_pandas_is_kept_from_arrow_alone_and_in_plain_commands_alone(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    before = list(sys.meta_path)
    for words in (["train", "mlp"], ["search", "text", "sql"], ["ingest", "embeddings"], []):
        keep_pandas_out(words)
        assert sys.meta_path == before
    keep_pandas_out(["ingest", "splits", "--folds", "5"])
    assert sys.meta_path != before
    sys.meta_path[:] = before
    keep_pandas_out(["-v", "sql", "SELECT 1"])
    finder = sys.meta_path[0]
    for asking, is_refused in {"pyarrow.dataset": True, "lance": True, "a_part": False}.items():
        code = "try: found = finder.find_spec('pandas')\nexcept ModuleNotFoundError: found = True"
        names = {"__name__": asking, "finder": finder}
        exec(code, names)
        assert names["found"] is (True if is_refused else None)
    assert finder.find_spec("numpy") is None


def test_version():
    assert invoke("--version").output.startswith("featurestore, version ")


def test_sql_prints_and_writes(store, tmp_path):
    query = (
        "SELECT crystal_system, count(*) AS n, sum(n_atoms) AS atoms FROM materials GROUP BY ALL"
    )
    found = {
        form: invoke("sql", query, "--store", store.uri, "--format", form).output
        for form in ("table", "csv", "json", "ndjson")
    }
    assert found["table"].splitlines()[2].split() == ["cubic", "10", "20"]
    assert found["csv"] == "crystal_system,n,atoms\ncubic,10,20\n"
    expected = {"crystal_system": "cubic", "n": 10, "atoms": 20}
    assert json.loads(found["json"]) == [expected] and json.loads(found["ndjson"]) == expected
    path = tmp_path / "x.parquet"
    result = invoke("sql", query, "--store", store.uri, "-o", str(path))
    assert result.output == f"1 rows written to {path}\n"
    assert pq.read_table(path)["n"].to_pylist() == [10]


def test_the_store_can_be_named_in_the_environment(store, monkeypatch):
    monkeypatch.setenv("FEATURESTORE_URI", store.uri)
    assert (
        invoke("sql", "SELECT count(*) AS n FROM materials", "--format", "csv").output == "n\n10\n"
    )


def test_view_prints_writes_and_shows_its_sql(store, tmp_path):
    arguments = ["view", toy.PROPERTY, "--store", store.uri, "--split", toy.SPLIT]
    arguments += ["--structure-encoder", "toy-graph"]
    arguments += ["--text", "robocrystallographer", "--text-encoder", "toy-text"]
    path = tmp_path / "view.npz"
    shown = invoke(*arguments, "-o", str(path)).output
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure+text"))
    assert f"fingerprint        {view.fingerprint}" in shown
    assert "rows               10 (6 train, 2 val, 2 test)" in shown
    assert "[4:7] text.all" in shown
    np.testing.assert_array_equal(np.load(path)["structure_vector"], view.features[:, :4])
    sql = invoke(*arguments, "--show-sql").output
    assert sql.strip() == view.sql
    assert store.sql(sql).equals(view.rows)


def test_view_takes_the_features_whose_encoders_are_named(store):
    arguments = ["view", toy.PROPERTY, "--store", store.uri]
    alone = invoke(*arguments, "--structure-encoder", "toy-graph").output
    assert "features           structure\n" in alone
    both = ["--structure-encoder", "toy-graph", "--text-encoder", "toy-text"]
    text = invoke(*arguments, *both, "--text", "robocrystallographer", "--features", "text").output
    assert "features           text\n" in text


def test_output_that_nobody_reads_to_its_end_ends_quietly(store):
    command = "SELECT repeat('x', 50) AS x FROM range(200000)"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from featurestore.cli import main; main()"),
            *("sql", command, "--store", store.uri, "--format", "csv"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait(60) == 1 and errors == ""


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("ingested") / "store"
    return path, invoke("ingest", "sample", "--store", str(path)).output


def test_ingest_the_sample_twice(sampled):
    path, first = sampled
    assert first.startswith("materials: 70 written, 0 already there, 0 failed\ntargets: ")
    again = invoke("ingest", "sample", "--store", str(path)).output
    assert again.startswith("materials: 0 written, 70 already there, 0 failed\ntargets: 0 written")


def test_ingest_records_what_it_was_asked(sampled):
    path, _ = sampled
    arguments = ["ingest", "splits", "--random", "80/10/10", "--property", "slme"]
    result = invoke(*arguments, "--store", str(path))
    assert result.exit_code == 0
    assert "split 'random-80-10-10-seed-0' for slme: 5 train, 1 val, 1 test" in result.output
    [run_] = FeatureStore.open(path).sql("FROM runs WHERE command = 'ingest splits'").to_pylist()
    assert json.loads(run_["arguments"]) == {
        "fractions": "80/10/10",
        "property_name": "slme",
        "seed": 0,
    }
    assert (run_["status"], json.loads(run_["counts"])) == ("finished", {"written": 7})


def test_a_sample_of_a_split(sampled):
    path, _ = sampled
    whole = "random-60-20-20-seed-3"
    invoke("ingest", "splits", "--random", "60/20/20", "--seed", "3", "--store", str(path))
    arguments = ["ingest", "splits", "--sample", whole, "--at-most", "20/3/5"]
    arguments += ["--property", "formation_energy_peratom", "--store", str(path)]
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    name = f"{whole}-sample-20-3-5-seed-0"
    assert f"split '{name}' for formation_energy_peratom: 20 train, 3 val, 5 test" in result.output
    assert invoke(*arguments).output.startswith("fold assignments: 0 written, 28 already there")
    with pytest.raises(ConflictError, match="exists with other materials"):
        invoke(*arguments, "--where", "n_atoms > 2", "--name", name)
    result = invoke(*arguments, "--where", "n_atoms > 2")
    assert f"split '{name}-where-" in result.output
    found = FeatureStore.open(path).sql(
        "SELECT max(fold = (SELECT w.fold FROM splits w WHERE w.split = ? AND w.material_id = "
        "s.material_id)) AS same, count(*) AS n FROM splits s WHERE split = ?",
        [whole, name],
    )
    assert found.to_pylist() == [{"same": True, "n": 28}]


@pytest.mark.slow
def test_what_of_a_file_is_its_id_and_disorder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sites = [
        {"species": [{"element": "Na", "occu": 0.7}, {"element": "K", "occu": 0.3}], "abc": [0] * 3}
    ]
    for run_of in ("mp-1", "mp-2"):
        (tmp_path / "runs" / run_of).mkdir(parents=True)
        edge = 4 + int(run_of[-1]) / 10
        document = {
            "lattice": {"matrix": [[edge, 0, 0], [0, edge, 0], [0, 0, edge]]},
            "sites": sites,
        }
        (tmp_path / "runs" / run_of / "relaxed.json").write_text(json.dumps(document))
    with pytest.raises(Exception, match="none of the 2 materials succeeded"):
        invoke("ingest", "structures", "runs", "--store", "s")
    for way, ids in (
        ("regex:mp-[0-9]", ["mp-1~ordered", "mp-2~ordered"]),
        ("path", ["mp-1/relaxed~ordered", "mp-2/relaxed~ordered"]),
    ):
        arguments = ["--id-from", way, "--ordered", "nearest", "--store", way[:5]]
        result = invoke("ingest", "structures", "runs", *arguments)
        assert result.exit_code == 0 and "2 stored with a note on ordered" in result.output
        found = FeatureStore.open(way[:5]).sql("FROM materials ORDER BY material_id").to_pylist()
        assert [row["material_id"] for row in found] == ids
        assert "holds Na 0.7, K 0.3 and is taken as Na" in found[0]["notes"][0]
    with pytest.raises(Exception, match="ids cannot be taken from 'name'"):
        invoke("ingest", "structures", "runs", "--id-from", "name", "--store", "s")


def test_ingest_structures_with_targets_and_a_registry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    for name, edge in (("a", 4), ("b", 5)):
        atoms = {
            "lattice_mat": [[edge, 0, 0], [0, edge, 0], [0, 0, edge]],
            "coords": [[0, 0, 0]],
            "elements": ["Po"],
        }
        (tmp_path / "cells" / f"{name}.json").write_text(json.dumps(atoms))
    (tmp_path / "cells" / "README.md").write_text("no structure")
    (tmp_path / "t.csv").write_text("id,my_gap\na,1.5\nb,inf\nc,2\n")
    (tmp_path / "p.toml").write_text('[my_gap]\nunit = "eV"\nrange = [0, 9]\n')
    arguments = ["ingest", "structures", "cells", "--properties", "t.csv", "--store", "s"]
    with pytest.raises(Exception, match="no column is a known property"):
        invoke(*arguments)
    result = invoke(*arguments, "--property-registry", "p.toml")
    assert result.exit_code == 0
    assert "materials: 2 written, 0 already there, 0 failed" in result.output
    assert "1 file is no structure file, for example README.md" in result.output
    assert "targets: 1 written, 0 already there, 2 failed" in result.output
    store = FeatureStore.open("s")
    assert store.sql("SELECT material_id, value, unit, source FROM properties").to_pylist() == [
        {"material_id": "a", "value": 1.5, "unit": "eV", "source": "cells"}
    ]
    runs = store.sql("FROM runs ORDER BY started_at").to_pylist()
    assert [row["status"] for row in runs] == ["failed", "finished"]
    recorded = json.loads(runs[1]["arguments"])
    read = recorded.pop("source_sha256")
    assert sorted(read) == ["cells/README.md", "cells/a.json", "cells/b.json", "t.csv"]
    assert read["t.csv"] == sha256_hex(Path("t.csv").read_bytes())
    assert recorded == {
        "property_files": ["t.csv"],
        "registries": ["p.toml"],
        "sources": ["cells"],
        "id_from": "stem",
    }
    assert {row["item"] for row in store.sql("FROM failures").to_pylist()} == {
        "b my_gap",
        "c my_gap",
    }


def test_a_run_of_which_nothing_succeeds_fails(capsys, monkeypatch, tmp_path):
    (tmp_path / "a.json").write_text('{"lattice_mat": 3}')
    place = str(tmp_path / "s")
    arguments = ("ingest", "structures", str(tmp_path / "a.json"), "--store", place)
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert code == 1
    assert "materials: 0 written, 0 already there, 1 failed" in out
    assert err == "Error: none of the 1 materials succeeded\n"
    [row] = FeatureStore.open(place).sql("FROM runs").to_pylist()
    assert row["status"] == "failed" and "none of the 1 materials" in row["message"]


def test_ingest_jarvis_reads_the_archive_it_has(tmp_path):
    from jarvis.db.figshare import get_db_info

    name = get_db_info()["dft_3d"][1]
    (tmp_path / f"{name}.zip").write_bytes(sample_archive().read_bytes())
    place = str(tmp_path / "s")
    result = invoke("ingest", "jarvis", "--folder", str(tmp_path), "--store", place)
    assert result.output.startswith("materials: 70 written")
    found = FeatureStore.open(place).sql("SELECT DISTINCT dataset FROM materials")
    assert found["dataset"].to_pylist() == ["dft_3d"]


def test_ingest_jarvis_with_an_unknown_name(capsys, monkeypatch, tmp_path):
    arguments = ("ingest", "jarvis", "--dataset", "dft_3dd", "--store", str(tmp_path / "s"))
    code, _, err = run(capsys, monkeypatch, *arguments)
    assert code == 1 and "unknown JARVIS data set 'dft_3dd'; did you mean 'dft_3d'" in err
    assert not (tmp_path / "s").exists()
