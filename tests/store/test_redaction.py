"""Credentials are in nothing that is shown or stored."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from conftest import ACCESS_KEY, SECRET_KEY

from featurestore.errors import InvalidInputError, StorageError
from featurestore.redaction import redacted
from featurestore.store import FeatureStore
from featurestore.tables.storage import Storage
from featurestore.testing.rows import made_up
from featurestore.testing.store import Place

SESSION_TOKEN = "FwoGZXIvYXdzEMadeUpSessionToken"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION_TOKEN)


def reveals(text: str) -> bool:
    return any(secret in text for secret in (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"denied for {ACCESS_KEY} with {SECRET_KEY}", "denied for [hidden] with [hidden]"),
        (f"token {SESSION_TOKEN}.", "token [hidden]."),
        ("key ASIAOTHERKEY12345678 is unknown", "key [hidden] is unknown"),
        ("GET http://me:pass@host/bucket", "GET http://[hidden]@host/bucket"),
        ("aws_secret_access_key=abc/def, more", "aws_secret_access_key=[hidden], more"),
        ('{"aws_session_token": "xyz"}', '{"aws_session_token": "[hidden]"}'),
        ("<AWSAccessKeyId>me</AWSAccessKeyId>", "<AWSAccessKeyId>[hidden]</AWSAccessKeyId>"),
        ("?X-Amz-Signature=0a1b&x=2", "?X-Amz-Signature=[hidden]&x=2"),
        ("No space left on device", "No space left on device"),
        ("cannot list s3://bucket/prefix", "cannot list s3://bucket/prefix"),
    ],
)
def test_what_is_hidden(credentials: None, text: str, hidden: str) -> None:
    assert redacted(text) == hidden


def test_short_placeholders_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    assert redacted("the test failed") == "the test failed"


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://{ACCESS_KEY}:{SECRET_KEY}@bucket/prefix",
        f"s3://bucket/prefix?secret_access_key={SECRET_KEY}",
        "s3://",
        Path("s3://bucket/prefix"),
    ],
)
def test_uris_that_are_refused(uri: str | Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        FeatureStore.open(uri, create=True)
    assert SECRET_KEY not in str(caught.value)


def test_options_of_a_storage_are_not_shown() -> None:
    storage = Storage.at("s3://bucket/prefix/", {"aws_secret_access_key": "abc"})
    assert storage.uri == "s3://bucket/prefix" and "abc" not in repr(storage)


def test_an_error_hides_them_with_its_cause(
    credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lance

    store = Place(str(tmp_path / "store")).open()
    store.merge("materials", made_up("materials", range(1)))

    def denied(*_: object, **__: object) -> None:
        raise OSError(f"403: {ACCESS_KEY} {SECRET_KEY} {SESSION_TOKEN}")

    with monkeypatch.context() as patch, pytest.raises(StorageError) as caught:
        patch.setattr(lance, "dataset", denied)
        store.sql("SELECT 1")
    text = "".join(traceback.format_exception(caught.value))
    assert "403: [hidden] [hidden] [hidden]" in text and not reveals(text)


def test_a_run_records_none(credentials: None, tmp_path: Path) -> None:
    store = Place(str(tmp_path / "store")).open()
    with pytest.raises(OSError), store.run("x", {"given": f"key {SECRET_KEY}"}):
        raise OSError(f"403: {ACCESS_KEY}")
    [row] = store.sql("FROM runs").to_pylist()
    assert row["message"] == "OSError: 403: [hidden]"
    assert row["arguments"] == '{"given":"key [hidden]"}'
