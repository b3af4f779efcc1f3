"""What happened to a key counts from the next request on, and a stranger's guess costs nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.config import load_config
from receiver.domain.outcome import Insert, Outcome, Table, Update
from receiver.domain.ports import KeyOverlay
from receiver.keyfiles import init_folder
from receiver.store import SqlStore
from receiver.verification.keys import KeyStatus
from receiver.wiring import build_store
from receiver.wiring.register import LiveRegister
from tests.vectors.keys import key_records


class Counting:
    """The store, with the questions about keys counted."""

    def __init__(self, store: SqlStore) -> None:
        self.store, self.asked = store, 0

    def find_key(self, issuer: str, kid: str) -> KeyOverlay | None:
        self.asked += 1
        return self.store.find_key(issuer, kid)


class Side:
    def __init__(self, folder: Path) -> None:
        made = init_folder(folder / "r", origin="https://notices.host.example").folder
        keys = made / "keys" / "public.jwks.json"
        (made / "issuers" / "iwf.json").write_bytes(keys.read_bytes())
        with (made / "config.toml").open("a") as file:
            file.write('[[issuers]]\nid = "iwf"\nkeys_file = "issuers/iwf.json"\ncategories = { csam = "act" }\n')
        config = load_config(made / "config.toml", {})
        self.kid = str(json.loads(keys.read_bytes())["keys"][0]["kid"])
        self.store = build_store(config, create=True)
        self.reads = Counting(self.store)
        self.register = LiveRegister(config, self.reads)  # type: ignore[arg-type]  # all that it asks

    def write(self, *changes: Insert | Update) -> None:
        (result,) = self.store.commit([Outcome(changes=changes)])
        assert result.error is None

    def thumbprint(self) -> str:
        found = self.register.find(self.kid)
        assert found is not None
        return found.thumbprint

    def enter(self, thumbprint: str, **values: Any) -> None:
        row = {"issuer": "iwf", "kid": self.kid, "thumbprint": thumbprint, "state": "active", **values}
        self.write(Insert(table=Table.ISSUER_KEY, values=row))


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    made = Side(tmp_path)
    yield made
    made.store.close()


def test_revocation_counts_at_once(side: Side) -> None:
    side.enter(side.thumbprint())
    where = {"issuer": "iwf", "kid": side.kid}
    side.write(Update(table=Table.ISSUER_KEY, where=where, values={"state": "revoked"}))
    found = side.register.find(side.kid)
    assert found is not None
    assert found.status is KeyStatus.REVOKED


def test_key_with_another_thumbprint_is_gone(side: Side) -> None:
    side.enter("another")
    assert side.register.find(side.kid) is None


def test_row_of_another_issuer_is_not_asked(side: Side) -> None:
    row = {"issuer": "other", "kid": side.kid, "thumbprint": side.thumbprint(), "state": "revoked"}
    side.write(Insert(table=Table.ISSUER_KEY, values=row))
    found = side.register.find(side.kid)
    assert found is not None
    assert found.status is KeyStatus.ACTIVE


def test_unknown_key_asks_no_database(side: Side) -> None:
    assert side.register.find(secrets.token_hex(8)) is None
    assert side.register.find(key_records()[0].key_id) is None
    assert side.reads.asked == 0
