from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hostile_store as hostile
import pytest
import synthetic_store as toy
from running_server import asked, running
from served_pages import ADDRESS, Served, client_of
from starlette.testclient import TestClient

from explain.explore import connections, trying
from explain.explore.app import make_app
from explain.explore.engine import Engine, Limits
from explain.explore.safety import Guard, is_loopback

TOKEN = "a-token-of-some-length"
# Counts pairs of pairs: minutes, and no row before they are over.
ENDLESS = (
    "SELECT count(*) FROM range(1000000000) a, range(1000000000) b "
    "WHERE (a.range * b.range) % 7 = 3"
)


def test_every_answer_carries_what_forbids_foreign_scripts(client: TestClient) -> None:
    for path in ("/", "/static/explore.css", "/nothing", "/api/nothing", "/api/material/drawing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


def test_only_its_own_names_are_answered(client: TestClient) -> None:
    for host in ("127.0.0.1:8765", "localhost:1", "[::1]:8765", "10.0.0.7"):
        assert client.get("/api", headers={"host": host}).status_code == 200, host
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "localhost.x"):
        assert client.get("/api", headers={"host": host}).status_code == 421, host
    guard = Guard("0.0.0.0", TOKEN, ("lab.example",))
    assert guard.knows("LAB.example:80") and guard.knows(socket.gethostname())
    assert not Guard("127.0.0.1").knows("lab.example")
    assert is_loopback("localhost") and is_loopback("::1") and not is_loopback("0.0.0.0")


def test_other_sites_can_neither_post_nor_read(client: TestClient) -> None:
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
        {"origin": "http://127.0.0.1:1234"},
    ):
        assert client.post("/try", headers=headers).status_code == 403, headers
    assert client.post("/try", headers={"origin": ADDRESS}).status_code == 200
    fetched = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get("/api/store", headers=fetched).status_code == 403
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/api", headers=followed).status_code == 200, "a link may open a page"


def test_nothing_but_reading_is_answered(client: TestClient) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert client.request(method, "/").status_code == 405
    assert client.post("/").status_code == 405
    assert client.post("/api/sql", content="q=select 1").status_code == 405


def test_a_token_is_asked_for_and_kept_as_a_cookie(served: Served) -> None:
    with client_of(served.store.uri, Guard("0.0.0.0", TOKEN), Limits(processes=0)) as client:
        for path in ("/", "/api/store", "/static/explore.css", "/api/openapi.json"):
            assert client.get(path).status_code == 401, path
        assert client.get("/api", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/api", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get("/api", params={"token": "wrong"}).status_code == 401
        asked = {"token": TOKEN, "q": "Na Cl"}
        first = client.get(ADDRESS + "//evil.example/", params=asked, follow_redirects=False)
        assert first.status_code == 303
        assert first.headers["location"] == "/evil.example/?q=Na+Cl", "no other server, no token"
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie
        assert client.get("/api").status_code == 200, "by the cookie"


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "..%2f..%2fetc/passwd", "%2e%2e/%2e%2e/app.py", "/etc/passwd"]
)
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code in (404, 405)
    for page in ("/api/material", "/api/material/structure", "/api/material/scene"):
        assert client.get(page, params={"id": path}).status_code == 404
    answer = client.get("/api/material/structure", params={"id": hostile.ID})
    name = answer.headers["content-disposition"]
    assert "/" not in name and "<" not in name and name.count('"') == 2
    assert "\n_" in answer.text and "<script>" not in answer.text.split("\n")[0]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM materials", "read-only"),
        ("COPY materials TO '/tmp/out.csv'", "read-only"),
        ("SELECT 1; DROP TABLE materials", "one SQL statement"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("SELECT * FROM '/etc/passwd'", ""),
        ("ATTACH '/tmp/x.db'", "read-only"),
        ("INSTALL httpfs", "read-only"),
        ("SET enable_external_access = true", "read-only"),
        ("SELECT getenv('HOME')", ""),
        ("EXPLAIN ANALYZE DELETE FROM materials", "read-only"),
        ("SELECT * FROM range(100)", "more than 50 rows"),
        ("(" * 1000, "deep"),
    ],
)
def test_sql_only_reads_the_store(served: Served, query: str, said: str) -> None:
    limits = Limits(processes=0, rows=50)
    engine = Engine(served.store.uri, None, limits)
    client = TestClient(make_app(engine, Guard()), ADDRESS)
    answer = client.get("/api/sql", params={"q": query, "format": "arrow"})
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"]
    for page in (client.get("/sql", params={"q": query}), client.get("/", params={"q": query})):
        assert page.status_code == 200 and "root:" not in page.text
    engine.close()


def test_conditions_cannot_become_statements(client: TestClient) -> None:
    for text in ("1 = 1); DELETE FROM materials; --", "1=1) UNION SELECT * FROM runs --"):
        answer = client.get("/api/find", params={"q": text, "as": "sql"})
        assert answer.status_code == 400, answer.text
    for name in ("system", "element", "col", "sort", "histogram"):
        answer = client.get("/api/find", params={name: "x' OR 1=1 --\"; DROP TABLE materials"})
        assert answer.status_code in (200, 400, 404), answer.text
        assert answer.status_code != 200 or answer.json()["total"] in (0, hostile.N)


def test_uploads_are_limited_while_they_come(client: TestClient) -> None:
    most = trying.MOST_BYTES + 2**20
    assert client.post("/try", headers={"content-length": str(2**31)}).status_code == 413
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.cif"\r\n\r\n'
        yield head
        while sent < 4 * most:
            sent += 2**20
            yield b"a" * 2**20

    answer = client.post(
        "/try", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 413, "no length was announced"
    for name, content, said in (
        ("a.zip", b"PK\x03\x04" + b"0" * 100, "packed"),
        ("../../evil.cif", b"not a structure", "no structure"),
    ):
        page = client.post("/try", files={"file": (name, content)})
        assert page.status_code == 200 and said in page.text, page.text[-2000:]
    assert client.post("/try", content=b"x").status_code in (200, 400)


def test_a_query_without_end_is_stopped_and_no_other_request_waits(served: Served) -> None:
    from urllib.parse import quote

    limits = Limits(seconds=1.5, processes=1)
    with running(served.store.uri, limits) as address:
        warm, _ = asked(address, "/api/sql?q=SELECT+1")
        assert b" 200 " in warm
        answers: list[tuple[bytes, float]] = []
        slow = threading.Thread(
            target=lambda: answers.append(asked(address, f"/api/sql?q={quote(ENDLESS)}"))
        )
        slow.start()
        time.sleep(0.2)
        page, _ = asked(address, "/api/find")
        assert b" 200 " in page and slow.is_alive(), "others are answered meanwhile"
        slow.join(15)
        [(answer, took)] = answers
        assert b" 503 " in answer and b"more than 1.5 s" in answer and took < 8
        # A value that nests this deep ends the process that prints it; the next has another.
        deep = "SELECT " + "[" * 300 + "1" + "]" * 300
        asked(address, f"/api/sql?q={quote(deep)}")
        # On a busy machine the new process may not have opened the store within the limit.
        again = (asked(address, "/api/sql?q=SELECT+2")[0] for _ in range(10))
        assert any(b" 200 " in answer for answer in again)


def test_connections_that_say_nothing_are_few_and_short(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 20)
    monkeypatch.setattr(connections, "_SECONDS_FOR_A_REQUEST", 1.0)
    with running(served.store.uri, Limits(processes=0)) as address:
        silent = [socket.create_connection(address, 5) for _ in range(100)]
        try:
            answer, _ = asked(address, "/api")
            assert b" 200 " in answer, "the silent ones keep nobody out"
            refused = sum(_is_closed(line) for line in silent)
            assert refused >= 80
            time.sleep(1.3)
            assert all(_is_closed(line) for line in silent), "the silent ones are let go"
            answer, _ = asked(address, "/api")
            assert b" 200 " in answer
        finally:
            for line in silent:
                line.close()


def _is_closed(line: socket.socket) -> bool:
    line.settimeout(0.05)
    try:
        return line.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.slow
def test_the_server_ends_while_a_query_runs(served: Served, tmp_path: Path) -> None:
    from urllib.parse import quote

    begun = time.monotonic()
    with running(served.store.uri, Limits(seconds=60, processes=0)) as address:
        line = socket.create_connection(address, 5)
        line.sendall(
            f"GET /api/sql?q={quote(ENDLESS)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        time.sleep(0.5)
    line.close()
    assert time.monotonic() - begun < 15


def test_an_answer_that_many_want_at_once_is_made_once(served: Served) -> None:
    engine = Engine(served.store.uri, None, Limits(processes=0))
    made: list[int] = []

    def slow() -> int:
        made.append(threading.get_ident())
        time.sleep(0.2)
        return 7

    def failing() -> int:
        made.append(threading.get_ident())
        time.sleep(0.2)
        raise TimeoutError

    def answers(make: Callable[[], int], key: str) -> list[int | type[Exception]]:
        found: list[int | type[Exception]] = []

        def ask() -> None:
            try:
                found.append(engine.answer(lambda source: engine.kept(source, (key,), make)))
            except TimeoutError:
                found.append(TimeoutError)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return found

    assert answers(slow, "good") == [7] * 4 and len(made) == 1
    made.clear()
    assert answers(failing, "bad") == [TimeoutError] * 4
    assert len(made) == 4, "nobody gets another's error"
    engine.close()


def test_fifty_readers_see_what_is_written_meanwhile(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 10)
    seen: dict[int, list[int]] = {number: [] for number in range(50)}
    wrong: list[bytes] = []
    with running(store.uri, Limits(processes=0)) as address:

        def read(number: int) -> None:
            for _ in range(3):
                answer, _ = asked(address, "/api/find?sort=-n_atoms")
                if b" 200 " not in answer[:20]:
                    wrong.append(answer)
                    return
                found = json.loads(answer.partition(b"\r\n\r\n")[2])
                assert len(found["rows"]) == min(found["total"], 50)
                seen[number].append(found["total"])

        readers = [threading.Thread(target=read, args=[number]) for number in seen]
        for reader in readers:
            reader.start()
        for index in range(100, 105):
            store.merge_rows("materials", [toy._material(index)])
        for reader in readers:
            reader.join()
        last, _ = asked(address, "/api/find?q=toy-104")
    assert wrong == []
    assert all(totals == sorted(totals) and len(totals) == 3 for totals in seen.values())
    assert {total for totals in seen.values() for total in totals} <= set(range(10, 16))
    assert b'"total":1' in last
