from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from explain.cli import explore as command

DOCUMENT = Path(__file__).parents[3] / "docs" / "explore.md"


def test_addresses_in_the_document_are_answered(client: TestClient) -> None:
    lines = re.findall(r"^curl (.*)$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert len(lines) > 1
    for line in lines:
        path = re.search(r"http://127\.0\.0\.1:8765(/[^' ]*)", line)
        assert path, line
        address = path[1].replace("mbj_bandgap", "volume")
        given = re.search(r"--data-urlencode '(\w+)=(.*)'", line)
        if given:
            address += "?" + urlencode({given[1]: given[2]})
        assert client.get(address).status_code == 200, address


def test_what_the_command_cannot_do_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = CliRunner().invoke(command.explore, [str(tmp_path / "none")])
    assert nowhere.exit_code == 1 and "there is no store" in str(nowhere.exception)
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    lacking = CliRunner().invoke(command.explore, [str(tmp_path)])
    assert "materials-featurestore[explore]" in str(lacking.exception)


def test_a_token_is_made_for_other_machines_and_a_short_one_refused(
    served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from explain.explore import serving

    class Server:
        address = ("0.0.0.0", 1234)

        def __init__(self, app: object, host: str, port: int) -> None:
            self.when_started = lambda: None

        def run(self) -> None:
            self.when_started()

    monkeypatch.setattr(serving, "Server", Server)
    said: list[str] = []
    for host, token in (("0.0.0.0", None), ("127.0.0.1", None), ("127.0.0.1", "new")):
        serving.serve(served.store.uri, host=host, token=token, say=said.append)
    assert ["?token=" in line for line in said] == [True, False, True]
    short = CliRunner().invoke(command.explore, [served.store.uri, "--token", "secret"])
    assert "guessed" in str(short.exception)
