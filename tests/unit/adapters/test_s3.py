"""The S3 adapter's settings and words; what it does to a store is in tests/conformance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.contract import AdapterError, Changed, Denied, NotFound, Pin, Ref, Retryable, Unsupported
from adapters.registry import Registry
from adapters.s3.adapter import S3Adapter
from adapters.s3.listing import Stored, held_pin, key_of, split_pin, version_pin
from adapters.s3.policy import sid
from adapters.s3.record import Record, Taken, _decode, _encode
from adapters.s3.settings import S3Settings
from adapters.s3.wire import refusal

GOOD: dict[str, Any] = {
    "endpoint_url": "http://127.0.0.1:1",
    "bucket": "site",
    "quarantine_bucket": "held",
    "access_key_file": "a",
    "secret_key_file": "b",
}


@pytest.mark.parametrize(
    ("member", "value", "word"),
    [
        ("endpoint_url", "ftp://x", "endpoint_url"),
        ("endpoint_url", "http://user@x", "endpoint_url"),
        ("endpoint_url", "http://x/path", "endpoint_url"),
        ("public_base_url", "https://img.example.net", "public_base_url"),
        ("bucket", "a/b", "bucket"),
        ("quarantine_bucket", "site", "another bucket"),
        ("quarantine_prefix", "../", "quarantine_prefix"),
        ("scratch_prefix", "x", "scratch_prefix"),
        ("addressing", "dns", "addressing"),
        ("ladder", ("policy", "pray"), "ladder"),
        ("ladder", ("move", "move"), "ladder"),
        ("customer_access_key_file", "x", "go together"),
        ("max_attempts", 0, "max_attempts"),
        ("read_seconds", 0.0, "read_seconds"),
    ],
)
def test_wrong_setting_is_named(member: str, value: object, word: str) -> None:
    with pytest.raises(ValueError) as caught:
        S3Settings(**{**GOOD, member: value})
    assert any(word in str(said) for said in caught.value.args)


def test_mistakes_come_together() -> None:
    with pytest.raises(ValueError) as caught:
        S3Settings(**{**GOOD, "bucket": "/", "endpoint_url": "x", "addressing": "y"})
    assert len(caught.value.args) == 3


def test_registry_builds_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"hush-{name}", encoding="utf-8")
    table = {**GOOD, "type": "s3", "access_key_file": str(tmp_path / "a"), "secret_key_file": str(tmp_path / "b")}
    adapter = Registry.load().build("storage", "site", table, {})
    assert isinstance(adapter, S3Adapter)
    assert "hush" not in repr(adapter) + repr(adapter.wire) + repr(vars(adapter.wire))
    adapter.close()


def test_missing_key_file_is_named() -> None:
    with pytest.raises(Denied, match="access_key_file"):
        S3Adapter("site", S3Settings(**GOOD))


def test_unreachable_server_is_retryable(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("key", encoding="utf-8")
    settings = S3Settings(
        **{**GOOD, "access_key_file": str(tmp_path / "a"), "secret_key_file": str(tmp_path / "a"), "max_attempts": 1}
    )
    adapter = S3Adapter("site", settings)
    with pytest.raises(Retryable) as caught:
        adapter.observe(Ref(locator=b"acme/a.jpg"))
    assert "acme" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    adapter.close()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", NotFound),
        (404, "404", NotFound),
        (412, "PreconditionFailed", Changed),
        (416, "InvalidRange", Changed),
        (403, "AccessDenied", Denied),
        (403, "RequestTimeTooSkewed", Denied),
        (503, "SlowDown", Retryable),
        (500, "InternalError", Retryable),
        (409, "OperationAborted", Retryable),
        (501, "NotImplemented", Unsupported),
        (400, "MalformedPolicy", AdapterError),
    ],
)
def test_refusals_are_ours(status: int, code: str, kind: type[AdapterError]) -> None:
    said = refusal("put_object", {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}})
    assert isinstance(said, kind)


def test_strange_code_is_not_shown() -> None:
    said = refusal("put_object", {"Error": {"Code": "http://x/key"}, "ResponseMetadata": {"HTTPStatusCode": 400}})
    assert "http" not in str(said)


def test_pins_go_there_and_back() -> None:
    assert split_pin(version_pin("a/b", "e-2", 5)) == ("version", "a/b", "e-2", 5)
    assert split_pin(held_pin("op-1", 3, "e", 5)) == ("held", "op-1.3", "e", 5)
    for strange in ("", "version/x", "inode/1/2/3", "version/a/b/c"):
        with pytest.raises(NotFound):
            split_pin(Pin(strange))


@pytest.mark.parametrize("name", [b"a/../b", b"a//b", b" a ", b"a.", b"\xc3\xa9", b"e\xcc\x81"])
def test_keys_stay_as_they_are(name: bytes) -> None:
    assert key_of(Ref(locator=b"acme/" + name, scope=b"acme")).encode() == b"acme/" + name


@pytest.mark.parametrize("locator", [b"acme", b"acme-two/a", b"other/a", b"", b"acme/\xff", b"acme/" + b"l" * 1024])
def test_strange_keys_are_denied(locator: bytes) -> None:
    with pytest.raises(Denied):
        key_of(Ref(locator=locator, scope=b"acme"))


def test_sids_differ_for_near_names() -> None:
    assert sid("a-b") != sid("ab")
    assert sid("a-b").isalnum()


def test_torn_record_is_never_believed() -> None:
    stored = Stored(version_id="v", etag="e", size_bytes=1, attributes={"TagSet": [{"Key": "a", "Value": "b"}]})
    record = Record(op_id="op-1", ref=Ref(locator=b"a"), taken=(Taken(stored=stored),))
    body = _encode(record)
    assert _decode(body) == record
    for torn in (body[:-1], b"", b"{}", body.replace(b"op-1", b"op-2")):
        with pytest.raises(Retryable):
            _decode(torn)
