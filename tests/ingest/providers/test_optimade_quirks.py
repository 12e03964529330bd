"""What big providers have answered on odd days, in their form: waited for, read, or refused."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from optimade_entries import entry
from quirky_server import QuirkyServer, Reply, meta, reply

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore
from ingest import add_optimade
from ingest.providers.http import PoliteClient, Times, same_server
from ingest.providers.optimade.databases import find_database
from ingest.providers.refusals import ProviderError
from ingest.recording import IncompleteError

PATH = "/v1/structures"


def read(store: FeatureStore, server: QuirkyServer, **options: object) -> int:
    return add_optimade(store, server.base, pause=0, **options).written  # type: ignore[arg-type]


def test_pages_to_the_end_by_a_named_client(store: FeatureStore, quirky: QuirkyServer) -> None:
    assert read(store, quirky) == 6 and quirky.offsets == [0, 2, 4]
    assert all(agent.startswith("materials-featurestore/") for agent in quirky.agents)


@pytest.mark.parametrize("form", ["object", "relative", "query"])
def test_every_form_of_a_link(store: FeatureStore, quirky: QuirkyServer, form: str) -> None:
    def linked(query: dict[str, str]) -> Reply:
        page = quirky.page(int(query.get("page_offset", 0)))
        link = page["links"]["next"]
        if link:
            path = link.removeprefix(quirky.base)
            forms = {"object": {"href": link, "meta": {}}, "relative": path}
            page["links"]["next"] = forms.get(form, path.removeprefix(PATH))
        return reply(page)

    quirky.routes[PATH] = linked
    assert read(store, quirky) == 6


def test_half_and_empty_pages_are_no_end(store: FeatureStore, quirky: QuirkyServer) -> None:
    def halves(query: dict[str, str]) -> Reply:
        offset = int(query.get("page_offset", 0))
        page = quirky.page(offset)
        page["data"] = [] if offset == 2 else page["data"][:1]
        return reply(page)

    quirky.routes[PATH] = halves
    result = add_optimade(store, quirky.base, pause=0)
    assert result.written == 2
    assert any("counts 6 structures for this filter and gave 2" in n for n in result.summary())


def test_more_without_a_link_is_no_end(store: FeatureStore, quirky: QuirkyServer) -> None:
    cut = quirky.page(0, links={"next": None})
    quirky.routes[PATH] = [reply(cut)]
    with pytest.raises(IncompleteError, match="there is more, and does not say where") as caught:
        read(store, quirky)
    assert caught.value.result.written == 2


def test_a_link_is_followed_though_no_more_is_said(
    store: FeatureStore, quirky: QuirkyServer
) -> None:
    quirky.routes[PATH] = lambda query: reply(
        quirky.page(int(query.get("page_offset", 0)), meta=meta(more_data_available=False))
    )
    assert read(store, quirky) == 6


@pytest.mark.parametrize("loop", ["itself", "back", "repeats"])
def test_pages_that_turn_round_end(store: FeatureStore, quirky: QuirkyServer, loop: str) -> None:
    def turning(query: dict[str, str]) -> Reply:
        offset = int(query.get("page_offset", 0))
        page = quirky.page(offset % 6)
        if loop == "repeats":
            page["links"]["next"] = quirky.offset(offset + 2)
        elif offset == 2:
            page["links"]["next"] = quirky.offset(2 if loop == "itself" else 0)
            if loop == "back":
                page["links"]["next"] = f"{quirky.base}{quirky.asked[2]}"
        return reply(page)

    quirky.routes[PATH] = turning
    with pytest.raises(IncompleteError, match="turn round"):
        read(store, quirky)
    assert len(quirky.offsets) <= 4


def test_endless_empty_pages_end(store: FeatureStore, quirky: QuirkyServer) -> None:
    quirky.routes[PATH] = lambda query: reply(
        {
            "data": [],
            "meta": meta(more_data_available=True),
            "links": {"next": quirky.offset(int(query.get("page_offset", 0)) + 2)},
        }
    )
    with pytest.raises(ProviderError, match="4 empty pages"):
        read(store, quirky)


@pytest.mark.parametrize(
    "link",
    ["http://169.254.169.254/latest", "//elsewhere.example/", "file:///etc/passwd", 7, "x" * 9000],
)
def test_a_link_elsewhere_is_not_followed(
    store: FeatureStore, quirky: QuirkyServer, link: object
) -> None:
    quirky.routes[PATH] = [reply(quirky.page(0, links={"next": link}))]
    with pytest.raises(ProviderError, match=r"another server|no address"):
        read(store, quirky)
    assert len(quirky.offsets) == 1


def test_plain_links_behind_https_stay_https() -> None:
    assert same_server("http://a.org/v1", "https://a.org/v1")
    assert not same_server("https://a.org/v1", "http://a.org/v1")
    assert not same_server("https://a.org/v1", "https://a.org:8443/v1")
    assert not same_server("https://a.org", "https://a.org.evil.org")
    assert not same_server("https://a.org", "https://a.org@evil.org")


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_too_many_requests_are_waited_for(
    store: FeatureStore, quirky: QuirkyServer, slept: list[float], form: str
) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    header = {"seconds": {"Retry_After": "17"}, "date": {"Retry_After": until}, "none": {}}[form]
    whole = quirky.page(4)
    quirky.routes[PATH] = [reply({}, 429, **header), reply({}, 503, **header), reply(whole)]
    assert read(store, quirky) == 2
    waits = [wait for wait in slept if wait]
    assert len(waits) == 2
    if form == "seconds":
        assert waits == [17.0, 17.0]
    else:
        assert waits == ([1.0, 2.0] if form == "none" else [pytest.approx(30, abs=5)] * 2)


def test_who_asks_for_an_hour_gets_it(
    store: FeatureStore, quirky: QuirkyServer, slept: list[float]
) -> None:
    quirky.routes[PATH] = [reply(quirky.page(0)), reply({}, 429, Retry_After="3600")]
    with pytest.raises(IncompleteError, match=r"left alone for 3,600 s .*go on") as caught:
        read(store, quirky)
    assert caught.value.result.written == 2 and not any(slept)
    del quirky.routes[PATH]
    quirky.__post_init__()
    quirky.asked.clear()
    assert read(store, quirky) == 4 and quirky.offsets == [2, 4]


def test_a_broken_server_is_given_up(
    store: FeatureStore, quirky: QuirkyServer, slept: list[float]
) -> None:
    quirky.routes[PATH] = [reply({}, 502)]
    with pytest.raises(ProviderError, match="failed 5 times, at last with: status 502"):
        read(store, quirky)
    assert [wait for wait in slept if wait] == [1.0, 2.0, 4.0, 8.0]


def test_a_pause_between_requests(
    store: FeatureStore, quirky: QuirkyServer, slept: list[float]
) -> None:
    quirky.routes[PATH] = lambda query: reply(
        quirky.page(int(query.get("page_offset", 0)))
        | {"meta": meta(request_delay=3 if not query.get("page_offset") else None)}
    )
    add_optimade(store, quirky.base, pause=60)
    assert slept.count(3.0) == 1 and sum(3 < wait <= 60 for wait in slept) == 4


CUT = json.dumps({"data": [entry("cut")], "meta": meta(), "links": {}}).encode()


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ([Reply(CUT[:-40])], "cut off"),
        ([Reply(CUT[:-40], length=len(CUT))], "RemoteProtocolError"),
        ([Reply(b"")], "cut off"),
        ([Reply(b"<!DOCTYPE html><html><body>maintenance</body></html>")], r"people \(HTML\)"),
        ([Reply(b'{"data": [}')], "no JSON"),
        ([Reply(b'{"data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")], "nested too deeply"),
        ([Reply(b'{"data": ' + b"9" * 10_000 + b"}")], "no JSON"),
        ([reply(["data"])], "no 'data'"),
        ([reply({"errors": [{"title": "too deep"}]})], "it has no data and says 'too deep'"),
        ([reply({"data": {"a": 1}, "meta": meta()})], "no list"),
        ([reply({"data": [], "meta": {"api_version": "0.10.1"}})], "version 0.10.1"),
        ([reply({"data": [], "meta": {"api_version": "2.0"}})], "version 2.0"),
        (
            [reply({"errors": [{"detail": "bad \x1b[2J filter"}]}, 400)],
            r"400: bad \\x1b\[2J filter",
        ),
        ([Reply(b"", 302, {"Location": "http://elsewhere.example/v1"})], "another server"),
        ([Reply(b"", 302, {"Location": "/v1/structures"})], "for ever"),
        ([Reply(b"\x1f\x8bnothing", headers={"Content_Encoding": "gzip"})], "compression"),
    ],
    ids=range(16),
)
def test_wrong_answers_are_told_apart(
    store: FeatureStore,
    quirky: QuirkyServer,
    slept: list[float],
    replies: list[Reply],
    words: str,
) -> None:
    quirky.routes[PATH] = list(replies)
    with pytest.raises(ProviderError, match=words):
        read(store, quirky)
    assert store.sql("SELECT status FROM runs").to_pylist() == [{"status": "failed"}]


def test_a_cut_page_is_asked_for_again(
    store: FeatureStore, quirky: QuirkyServer, slept: list[float]
) -> None:
    quirky.routes[PATH] = [Reply(CUT[:-40], length=len(CUT)), Reply(CUT[:-3]), Reply(CUT)]
    assert read(store, quirky) == 1


def test_a_redirection_on_the_server_is_followed(store: FeatureStore, quirky: QuirkyServer) -> None:
    quirky.routes["/moved"] = [reply(quirky.page(4))]
    quirky.routes[PATH] = [Reply(b"", 308, {"Location": "/moved"})]
    assert read(store, quirky) == 2


def test_a_bomb_and_a_flood_end_at_the_limit(quirky: QuirkyServer) -> None:
    bomb = gzip.compress(b"[" + b" " * 4_000_000 + b"]")
    quirky.routes["/bomb"] = [Reply(bomb, headers={"Content_Encoding": "gzip"})]
    with (
        PoliteClient(pause=0, largest=100_000) as client,
        pytest.raises(ProviderError, match="100,000"),
    ):
        client.get_json(f"{quirky.base}/bomb")


def test_a_slow_server_is_not_waited_for(quirky: QuirkyServer, slept: list[float]) -> None:
    quirky.routes["/slow"] = [Reply(CUT, drip=0.05)]
    quirky.routes["/silent"] = [Reply(CUT, drip=30.0)]
    for path, times in (("/slow", Times(answer=0.3)), ("/silent", Times(read=0.2))):
        begun = time.monotonic()
        late = pytest.raises(ProviderError, match=r"takes more than 0.3 s|in time")
        with PoliteClient(pause=0, times=times) as client, late:
            client.get_json(quirky.base + path)
        assert time.monotonic() - begun < 8


def test_an_expired_link_begins_again(
    store: FeatureStore, quirky: QuirkyServer, slept: list[float]
) -> None:
    quirky.routes[PATH] = [reply(quirky.page(0)), reply({}, 500)]
    with pytest.raises(IncompleteError):
        read(store, quirky)
    quirky.__post_init__()
    whole = quirky.routes[PATH]
    assert callable(whole)
    expired = iter([reply({"errors": [{"detail": "the cursor has expired"}]}, 410)])
    quirky.routes[PATH] = lambda query: next(expired, None) or whole(query)
    result = add_optimade(store, quirky.base, pause=0)
    assert (result.written, result.outcomes[0].present) == (4, 2)
    assert any("the cursor has expired" in note for note in result.outcomes[0].notes)


def test_a_credential_in_a_link_is_not_kept(
    store: FeatureStore, quirky: QuirkyServer, slept: list[float]
) -> None:
    secret = f"{quirky.base}{PATH}?page_token=abcdefghijklmnop1234567890"
    quirky.routes[PATH] = [reply(quirky.page(0, links={"next": secret})), reply({}, 500)]
    with pytest.raises(IncompleteError):
        read(store, quirky)
    assert "abcdefghijklmnop" not in str(store.sql("FROM runs").to_pylist())
    quirky.__post_init__()
    assert add_optimade(store, quirky.base, pause=0).outcomes[0].present == 2


def test_another_version_is_named(quirky: QuirkyServer) -> None:
    quirky.routes = {"/versions": [Reply(b"version\n0\n2\n")]}
    with PoliteClient(pause=0) as client:
        with pytest.raises(ProviderError, match="serves version 0, 2"):
            find_database(client, quirky.base)
        quirky.routes = {}
        with pytest.raises(ProviderError, match="no base address"):
            find_database(client, quirky.base)


def child(name: str, base: str, **changes: object) -> dict[str, object]:
    about = {"name": name, "base_url": base, "link_type": "child", "aggregate": "ok"} | changes
    return {"id": name, "type": "links", "attributes": about}


def test_an_index_names_its_databases(quirky: QuirkyServer) -> None:
    index = {"data": {"attributes": {"is_index": True}}, "meta": meta()}
    one, other = child("pbe", f"{quirky.base}/pbe"), child("quirk-scan", f"{quirky.base}/scan")
    test = child("trial", "http://127.0.0.1:9/", aggregate="test")
    odd = [None, {"id": 7}, child("gone", None), child("file", "file:///etc")]  # type: ignore[arg-type]
    root = child("self", quirky.base, link_type="root")
    info = {"data": {"attributes": {}}, "meta": meta()}
    quirky.routes = {
        "/v1/info": [reply(index)],
        "/v1/links": [reply({"data": [one, other, test, root, *odd], "meta": meta()})],
        "/pbe/v1/info": [reply(info)],
        "/scan/v1/info": [reply(info)],
    }
    with PoliteClient(pause=0) as client:
        with pytest.raises(InvalidInputError, match="quirk/pbe, quirk/quirk-scan, quirk/trial"):
            find_database(client, quirky.base)
        quirky.routes["/v1/links"] = [reply({"data": [one, test, root], "meta": meta()})]
        database = find_database(client, quirky.base)
        assert (database.name, database.url) == ("quirk-pbe", f"{quirky.base}/pbe")
        quirky.routes["/v1/links"] = [reply({"data": [root], "meta": meta()})]
        with pytest.raises(ProviderError, match="lists no database"):
            find_database(client, quirky.base)
        quirky.routes["/pbe/v1/info"] = [reply(index)]
        quirky.routes["/v1/links"] = [reply({"data": [one], "meta": meta()})]
        with pytest.raises(ProviderError, match="another index"):
            find_database(client, quirky.base)


def test_a_database_of_a_provider_by_name(
    quirky: QuirkyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ingest.providers.optimade.databases.providers",
        lambda: {"quirk": ("quirk", quirky.base), "closed": ("closed", None)},
    )
    index = {"data": {"attributes": {"is_index": True}}, "meta": meta()}
    links = [
        child("quirk-pbe", f"{quirky.base}/pbe"),
        child("scan", {"href": f"{quirky.base}/scan/v1"}),
    ]  # type: ignore[arg-type]
    info = reply({"data": {"attributes": {}}, "meta": meta()})
    quirky.routes = {
        "/v1/info": [reply(index)],
        "/v1/links": [reply({"data": links, "meta": meta()})],
        "/pbe/v1/info": [info],
        "/scan/v1/info": [info],
    }
    with PoliteClient(pause=0) as client:
        assert find_database(client, "Quirk/pbe").name == "quirk-pbe"
        scan = find_database(client, "quirk/scan", "own")
        assert (scan.name, scan.url) == ("own", f"{quirky.base}/scan")
        with pytest.raises(UnknownNameError, match="did you mean 'scan'"):
            find_database(client, "quirk/scam")
        with pytest.raises(InvalidInputError, match="no OPTIMADE server"):
            find_database(client, "closed")
        with pytest.raises(InvalidInputError, match="cannot begin"):
            find_database(client, "quirk", "../x")
        for address in ("ftp://a.org", "http://", "https://u:p@a.org/", "http://a.org/?x=1"):
            with pytest.raises(InvalidInputError):
                find_database(client, address)


def test_a_server_without_a_name_needs_a_prefix(quirky: QuirkyServer) -> None:
    quirky.routes["/v1/info"] = [
        reply({"data": {"attributes": {}}, "meta": {"api_version": "1.0"}})
    ]
    with PoliteClient(pause=0) as client:
        with pytest.raises(InvalidInputError, match="--prefix"):
            find_database(client, quirky.base)
        assert find_database(client, quirky.base, "lab").name == "lab"
