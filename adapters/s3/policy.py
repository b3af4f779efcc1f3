"""Deny statements of ours in the bucket's policy; other people's statements are never touched.

`PutBucketPolicy` has no condition, so every change is made under our own lock and read back.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters.contract import AdapterError, Changed, NotFound, Retryable, Unsupported
from adapters.s3.settings import S3Settings
from adapters.s3.wire import Wire

Statement = Mapping[str, Any]

SID = "TakedownReceiver"
TAG_SID = f"{SID}Tag"
TAG_KEY, TAG_VALUE = "takedown-receiver", "blocked"
LOCK_SECONDS = 60.0
WAIT_SECONDS = 5.0
WILD = frozenset("*?$")
"""Characters that mean something else in a resource; a statement for such a key would reach other keys."""


def sid(op_id: str) -> str:
    """A Sid takes letters and digits only."""
    return SID + hashlib.sha256(op_id.encode()).hexdigest()[:32]


def exemptions(settings: S3Settings) -> tuple[Statement, ...]:
    """How a statement may leave out the host itself, the best first; the last leaves out nobody."""
    found: list[Statement] = []
    if settings.host_username:
        found.append({"StringNotEquals": {"aws:username": settings.host_username}})
    if settings.host_principal_arn:
        found.append({"ArnNotEquals": {"aws:PrincipalArn": settings.host_principal_arn}})
    return (*found, {})


def deny_key(op_id: str, bucket: str, key: str, exempt: Statement) -> Statement:
    """Everything on one key, for everybody but the host."""
    return _deny(sid(op_id), f"arn:aws:s3:::{bucket}/{key}", exempt)


def deny_tagged(bucket: str, exempt: Statement, *, key: str = "*", name: str = TAG_SID) -> Statement:
    """Everything on whatever carries our tag, for everybody but the host."""
    condition = {"StringEquals": {f"s3:ExistingObjectTag/{TAG_KEY}": TAG_VALUE}, **exempt}
    return _deny(name, f"arn:aws:s3:::{bucket}/{key}", condition)


def _deny(name: str, resource: str, condition: Statement) -> Statement:
    statement: dict[str, Any] = {
        "Sid": name, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resource
    }  # fmt: skip
    return statement | ({"Condition": dict(condition)} if condition else {})


class Policy:
    """The bucket's policy, changed one statement at a time."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock_key = f"{wire.settings.quarantine_prefix}policy.lock"

    def has(self, name: str) -> bool:
        return any(item.get("Sid") == name for item in self._statements(self._read()))

    def holds(self, statement: Statement) -> bool:
        """Whether it stands there unchanged; an owner may write something else under the same Sid."""
        return any(_shape(item) == _shape(statement) for item in self._statements(self._read()))

    def add(self, statement: Statement) -> None:
        """Put it in, replacing one of the same Sid. Raises Unsupported where the server knows no policies."""
        name = str(statement["Sid"])
        self._change(
            name,
            lambda found: [*(item for item in found if item.get("Sid") != name), statement],
            lambda: self.has(name),
        )

    def drop(self, name: str) -> None:
        if self.has(name):
            self._change(
                name, lambda found: [item for item in found if item.get("Sid") != name], lambda: not self.has(name)
            )
        else:
            self._let_go(name)

    def _change(
        self, name: str, change: Callable[[list[Statement]], list[Statement]], holds: Callable[[], bool]
    ) -> None:
        with self._locked(name):
            document = self._read()
            left = change(self._statements(document))
            bucket = self._wire.settings.bucket
            if left:
                whole = {"Version": "2012-10-17", **document, "Statement": left}
                self._wire.call("put_bucket_policy", Bucket=bucket, Policy=json.dumps(whole))
            else:
                self._wire.call("delete_bucket_policy", Bucket=bucket)
            if not holds():
                raise Retryable("the bucket's policy was changed under our hands")

    def _read(self) -> dict[str, Any]:
        try:
            text = self._wire.call("get_bucket_policy", Bucket=self._wire.settings.bucket)["Policy"]
        except NotFound:
            return {}
        try:
            document = json.loads(text)
        except ValueError as exc:
            raise AdapterError("the bucket's policy is no JSON; nothing was changed") from exc
        if not isinstance(document, dict):
            raise AdapterError("the bucket's policy is no JSON object; nothing was changed")
        return document

    @staticmethod
    def _statements(document: Mapping[str, Any]) -> list[Statement]:
        found = document.get("Statement", [])
        return [found] if isinstance(found, dict) else list(found)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One writer among our workers. A server that ignores conditions lets two in; reading back finds that out."""
        where = {"Bucket": self._wire.settings.quarantine_bucket, "Key": self._lock_key}
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._take(where, name):
            if time.monotonic() > deadline:
                raise Retryable("another worker holds the lock on the bucket's policy", after_seconds=WAIT_SECONDS)
            time.sleep(0.1)
        yield
        self._wire.call("delete_object", **where)

    def _take(self, where: Mapping[str, str], name: str) -> bool:
        """The lock names the statement it is for: whoever does the same work again goes on where it was left."""
        try:
            self._wire.call("put_object", Body=name.encode(), IfNoneMatch="*", **where)
        except Changed:
            return self._left_behind(where, name)
        except Unsupported:
            return True
        return True

    def _let_go(self, name: str) -> None:
        """The work was done and a crash left its lock; others would wait for it to grow old."""
        where = {"Bucket": self._wire.settings.quarantine_bucket, "Key": self._lock_key}
        try:
            mine = self._wire.call("head_object", **where)["ETag"].strip('"') == _md5(name)
        except NotFound:
            return
        if mine:
            self._wire.call("delete_object", **where)

    def _left_behind(self, where: Mapping[str, str], name: str) -> bool:
        """Ours from before a crash is taken up; a stranger's is broken when, by the store's own clock, it is old."""
        try:
            found = self._wire.call("head_object", **where)
        except NotFound:
            return False
        if found["ETag"].strip('"') == _md5(name):
            return True
        now = found["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        if _seconds(now) - found["LastModified"].timestamp() > LOCK_SECONDS:
            self._wire.call("delete_object", **where)
        return False


def _shape(value: object) -> object:
    """Equal for what means the same: servers write one member as itself or as a list, and `*` in two ways."""
    if isinstance(value, Mapping):
        if set(value) == {"AWS"} and _shape(value["AWS"]) == "*":
            return "*"
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return _shape(value[0]) if len(value) == 1 else sorted(map(str, value))
    return value


def _md5(name: str) -> str:
    """The ETag of a lock; a store that makes other ETags lets the lock grow old instead."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def _seconds(http_date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(http_date).timestamp()
    except (ValueError, OverflowError):
        return 0.0
