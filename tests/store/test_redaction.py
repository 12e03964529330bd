"""Credentials are in nothing that is shown or stored."""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path

import pytest
from s3_keys import ACCESS_KEY, SECRET_KEY

from featurestore.errors import FeatureStoreError, InvalidInputError, StorageError
from featurestore.failure import Failure
from featurestore.messages import for_users
from featurestore.redaction import redacted, without_secrets
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


NAMED = "not-to-be-shown-91f3"


@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "MY_SECRET", "MP_API_KEY", "DB_PASSWORD", "PGPASSWORD", "STRIPE_KEY"),
        *("AZURE_STORAGE_SAS_TOKEN", "client_secret", "GITHUB_TOKEN", "SSH_PASSPHRASE"),
    ],
)
def test_values_of_variables_that_are_named_so(monkeypatch, name):
    monkeypatch.setenv(name, NAMED)
    assert redacted(f"denied: {NAMED}!") == "denied: [hidden]!"
    assert NAMED not in str(FeatureStoreError(f"cannot use {NAMED}"))


@pytest.mark.parametrize("name", ["PWD", "HOME", "AWS_CONFIG_FILE", "TOKENIZERS_PARALLELISM"])
def test_other_variables(monkeypatch, name):
    monkeypatch.setenv(name, "an-ordinary-value")
    assert redacted("an-ordinary-value") == "an-ordinary-value"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://u:{}@host/x",
            "https://{}@host/x",
            "postgres://me:{}@db:5432/x",
            "s3://k:{}@b/p",
        ),
        *("https://u:p@{}/x@host/y", "?token={}&x=2", "?sig={}&se=1", "?X-Amz-Signature={}"),
        *("Authorization: Bearer {}", "authorization: Basic {}", "api_key={}", "--hf-token {}"),
        *(
            '{{"password": "{}"}}',
            "{{'client_secret': '{}'}}",
            '{{\\"token\\": \\"{}\\"}}',
            "pwd={}",
        ),
        *("<SecretAccessKey>{}</SecretAccessKey>", "AccountKey={};", "password: {}", "secret='{}'"),
    ],
)
def test_secrets_by_where_they_stand(text):
    shown = redacted(text.format(NAMED))
    assert NAMED not in shown and "[hidden]" in shown


@pytest.mark.parametrize(
    "secret",
    [
        *("hf_" + "a1B2" * 9, "ghp_" + "a1B2" * 9, "AKIA" + "ABCD" * 4, "sk-" + "a1B2" * 9),
        *("xoxb-123456789012-abcdef", "pypi-" + "Ab1" * 12, "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"),
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_secrets_by_their_form(secret):
    assert redacted(f"a {secret} b") == "a [hidden] b"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "n_tokens = 7",
            "a special token: it must be True",
            "keys occur more than once",
            "key: 3",
        ),
        *(
            "http://host:80/path?x=a@b",
            "git@github.com:a/b",
            "the password is missing",
            "token 'a'",
        ),
        *(
            "JVASP-1372",
            "sha256 " + "ab" * 32,
            "alignn_ff_e5f28b85fb",
            "materials/key",
            "--tokens 5",
        ),
    ],
)
def test_what_is_no_secret(text):
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *(":" * 50_000, "://" + "a:" * 20_000, "token" * 20_000, "a_" * 40_000),
        *("--" * 20_000, "://a:" + "b@" * 9999),
    ],
)
def test_long_texts_take_no_longer(text):
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 5


def test_fields_that_are_named_so():
    given = {"hf_token": NAMED, "n_tokens": "7", "deep": [{"url": f"https://a:{NAMED}@h"}], "n": 1}
    assert without_secrets(given) == {
        "hf_token": "[hidden]",
        "n_tokens": "7",
        "deep": [{"url": "https://[hidden]@h"}],
        "n": 1,
    }


def test_nothing_that_is_stored_has_one(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_API_KEY", NAMED)
    store = Place(str(tmp_path / "store")).open()
    store.merge("materials", made_up("materials", range(1)))
    arguments = {"api_key": NAMED, "sources": [f"https://u:{NAMED}@h/x"], "note": f"is {NAMED}"}
    with store.run("x", arguments) as run:
        failure = Failure("E", f"cannot fetch with {NAMED}")
        store.record_failures("stage", "", {"item": failure}, run)
    store.create_snapshot("a", f"made with {NAMED}")
    for path in (tmp_path / "store").rglob("*"):
        assert path.is_dir() or NAMED.encode() not in path.read_bytes(), path
    [row] = store.sql("SELECT arguments FROM runs WHERE command = 'x'").to_pylist()
    assert json.loads(row["arguments"])["api_key"] == "[hidden]"


def test_build_paths_are_cut():
    message = (
        "LanceError(IO): Not found: a/b.lance, /home/runner/work/lance/lance/rust/lance-io/src/"
        "local.rs:273:40"
    )
    assert str(StorageError(message)) == "Not found: a/b.lance"
    fine = "cannot read /tmp/x/y.lance, version 3"
    assert for_users(fine) == fine
    assert (
        for_users("failed: x\n\nPossible solutions:\n* SET a\n\nSee also https://b") == "failed: x"
    )
