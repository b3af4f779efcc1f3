"""Keys that an issuer's own server publishes: written down once, good only when people or an older key say so."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.config import Config, load_config
from receiver.domain.clock import SystemClock
from receiver.domain.outcome import Outcome, Table, Update
from receiver.keyfiles import init_folder
from receiver.store import SqlStore
from receiver.verification.enrol import enrolment_statement
from receiver.verification.jwk import load_jwks, public_members
from receiver.verification.jwks import MAX_STALE_SECONDS
from receiver.verification.keys import KeyStatus, key_fault
from receiver.verification.mechanics import sign_bytes
from receiver.wiring import build_store
from receiver.wiring.directories import directory_file, read_directory
from receiver.wiring.enrolment import MAX_WAITING, enter_fetched
from receiver.wiring.register import LiveRegister
from tests.vectors.keys import ed25519_key

ISSUER = '[[issuers]]\nid = "ncm"\nkeys_url = "https://hotline.example/keys"\ncategories = { csam = "act" }\n'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = init_folder(tmp_path / "r", origin="https://notices.host.example").folder
    with (made / "config.toml").open("a") as file:
        file.write(ISSUER)
    return load_config(made / "config.toml", {})


@pytest.fixture
def store(config: Config) -> Iterator[SqlStore]:
    made = build_store(config, create=True)
    yield made
    made.close()


def jwk(name: str, *, by: str | None = None, **more: Any) -> dict[str, Any]:
    """A published key; `by` names the older one that vouches for it."""
    made: dict[str, Any] = {**public_members(ed25519_key(name).public_key()), "kid": name, **more}
    if by is not None:
        (record,) = load_jwks("ncm", json.dumps({"keys": [made]}).encode())
        words = enrolment_statement(record)
        signature = sign_bytes(words, algorithm=record.algorithm, private_key=ed25519_key(by))
        made["vouch"] = {"kid": by, "sig": base64.urlsafe_b64encode(signature).decode().rstrip("=")}
    return made


def publish(config: Config, store: SqlStore, *keys: dict[str, Any], age_seconds: float = 0) -> None:
    """As the worker reads it each hour."""
    path = directory_file(config, "ncm")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"keys": list(keys)}))
    os.utime(path, (time.time() - age_seconds,) * 2)
    enter_fetched(config, store, lambda outcome: store.commit([outcome]), "ncm")


def states(store: SqlStore) -> dict[str, str]:
    return {row.kid: row.state for row in store.key_overlay()}


def approve(store: SqlStore, kid: str, state: str = "active") -> None:
    change = Update(table=Table.ISSUER_KEY, where={"issuer": "ncm", "kid": kid}, values={"state": state})
    store.commit([Outcome(changes=(change,))])


def entries(store: SqlStore) -> list[str]:
    return sorted(entry.kind for key in "abc" for entry in store.entries_about(f"ncm/{key}", 10))


def status(config: Config, store: SqlStore, kid: str) -> KeyStatus | None:
    record = LiveRegister(config, store).find(kid)
    return None if record is None else record.status


def test_published_key_waits_and_calls_people(config: Config, store: SqlStore) -> None:
    for _ in range(2):
        publish(config, store, jwk("a"))
    assert (states(store), entries(store)) == ({"a": "pending"}, ["key.seen"])
    assert [(page.kind, page.subject, page.count) for page in store.open_pages(5)] == [("key.waits", "ncm", 1)]
    assert status(config, store, "a") is KeyStatus.PENDING
    approve(store, "a")
    assert status(config, store, "a") is KeyStatus.ACTIVE
    publish(config, store, jwk("a"))
    assert (states(store), entries(store)) == ({"a": "active"}, ["key.seen"])


def test_directory_never_read_has_no_keys(config: Config, store: SqlStore) -> None:
    enter_fetched(config, store, lambda outcome: store.commit([outcome]), "ncm")
    assert (states(store), read_directory(config, "ncm"), status(config, store, "a")) == ({}, [], None)


def test_older_key_vouches_for_the_next(config: Config, store: SqlStore) -> None:
    publish(config, store, jwk("a"))
    publish(config, store, jwk("a"), jwk("b", by="a"))
    assert states(store) == {"a": "pending", "b": "pending"}
    approve(store, "a")
    publish(config, store, jwk("a"), jwk("b", by="a"), jwk("c", by="a"))
    assert states(store) == {"a": "active", "b": "active", "c": "active"}
    assert entries(store) == ["key.seen", "key.seen", "key.vouched", "key.vouched"]
    assert status(config, store, "c") is KeyStatus.ACTIVE


@pytest.mark.parametrize("by", ["b", "c"])
def test_only_an_active_key_vouches(config: Config, store: SqlStore, by: str) -> None:
    """Whoever owns the server owns no key of the issuer's."""
    publish(config, store, jwk("a"))
    approve(store, "a")
    taken_over = {**jwk("b", by=by), "vouch": {**jwk("b", by=by)["vouch"], "kid": "a"}}
    publish(config, store, jwk("a"), taken_over)
    assert states(store) == {"a": "active", "b": "pending"}


def test_revoked_key_stays_so(config: Config, store: SqlStore) -> None:
    publish(config, store, jwk("a"), jwk("b"))
    approve(store, "a")
    approve(store, "b", "revoked")
    publish(config, store, jwk("a"), jwk("b", by="a"))
    assert states(store) == {"a": "active", "b": "revoked"}


def test_changed_key_is_not_written_over(config: Config, store: SqlStore) -> None:
    publish(config, store, jwk("a"))
    publish(config, store, {**jwk("b"), "kid": "a"})
    assert status(config, store, "a") is None
    assert states(store) == {"a": "pending"}


def test_a_flood_of_keys_is_cut_off(config: Config, store: SqlStore) -> None:
    path = directory_file(config, "ncm")
    path.parent.mkdir()
    for turn in range(3):
        names = [f"{turn}-{n}" for n in range(10)]
        path.write_text(json.dumps({"keys": [{**jwk(name), "kid": name} for name in names]}))
        enter_fetched(config, store, lambda outcome: store.commit([outcome]), "ncm")
    assert (len(states(store)), [page.count for page in store.open_pages(50)]) == (MAX_WAITING, [MAX_WAITING])


@pytest.mark.parametrize(("age_seconds", "fault"), [(MAX_STALE_SECONDS - 600, None), (MAX_STALE_SECONDS + 600, True)])
def test_old_answer_of_a_directory_ends(
    config: Config, store: SqlStore, age_seconds: float, fault: bool | None
) -> None:
    publish(config, store, jwk("a"))
    approve(store, "a")
    publish(config, store, jwk("a"), age_seconds=age_seconds)
    record = LiveRegister(config, store).find("a")
    assert record is not None
    now = SystemClock().now()
    assert key_fault(record, signed_at=now, now=now) == ("key-expired" if fault else None)
