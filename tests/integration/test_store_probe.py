"""What `check` and the metrics ask of a database, on both kinds."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from receiver.domain.outcome import Outcome, Page
from receiver.store import SqlStore
from receiver.store.figures import first_id
from receiver.store.grants import columns_of
from tests.doubles.databases import Database
from tests.doubles.pages import acknowledge
from tests.integration.test_store_grants import as_role, granted

__all__ = ["granted"]


def test_both_say_that_commits_are_kept(store: SqlStore) -> None:
    facts = store.facts()
    assert facts.kind in {"SQLite", "PostgreSQL"}
    assert facts.version[0].isdigit()
    assert facts.size_bytes > 10_000


def test_commits_that_are_not_kept_are_told(store: SqlStore) -> None:
    if store.facts().kind != "SQLite":
        # The server of the tests runs with fsync off, for speed.
        assert "fsync is off" in store.facts().unsafe
        return
    assert store.facts().unsafe == ()
    raw = store._db.backend.reader.raw_connection()
    raw.cursor().execute("PRAGMA synchronous=OFF")
    raw.close()
    assert store.facts().unsafe == ("its commits are not synced",)


@pytest.mark.parametrize("face", ["web", "admin", "worker"])
def test_a_role_fits_its_own_face(granted: Database, face: str) -> None:
    store = as_role(granted, f"tr_{face}")
    facts = store.facts()
    store.close()
    assert face in facts.role_fits
    assert facts.role_is_owner is False
    assert ("worker" in facts.role_fits) == (face == "worker")


def test_a_role_that_lacks_something_fits_none(granted: Database) -> None:
    with granted.engine().begin() as conn:
        conn.execute(text('REVOKE INSERT ON "item" FROM tr_web'))
    store = as_role(granted, "tr_web")
    facts = store.facts()
    store.close()
    assert (facts.role_fits, facts.role_lacks) == ((), ("INSERT on item",))


def test_the_owner_may_do_anything(postgres_database: Database) -> None:
    store = postgres_database.open()
    assert store.facts().role_is_owner
    store.close()


def test_grants_are_read_by_column() -> None:
    assert columns_of("SELECT") == ("SELECT", ())
    assert columns_of("UPDATE (pid, seen_at)") == ("UPDATE", ("pid", "seen_at"))


def test_figures_are_asked_on_both(store: SqlStore) -> None:
    store.register_worker("n", "web-0", "b", 1, "x")
    store.commit([Outcome(pages=(Page(kind="ledger.copy", subject="s", text="t"),))])
    found = store.standing()
    assert (found["processes_alive{web}"], found["pages_open{ledger.copy}"], found["ledger_entries"]) == (1, 1, 0)
    assert (list(store.told_since(0)), list(store.sealed_since(0)), store.waiting_in_review()) == ([], [], {})
    ((subject, (last_at, is_open)),) = store.last_paged("ledger.copy").items()
    assert (subject, is_open, last_at > 0) == ("s", True, True)
    assert acknowledge(store, store.open_pages(1)[0].id)
    assert store.last_paged("ledger.copy") == {"s": (last_at, False)}


def test_ids_begin_with_their_time() -> None:
    assert first_id(0) == "0" * 26
    assert first_id(1_700_000_000_000_000) < first_id(1_700_000_000_001_000)
