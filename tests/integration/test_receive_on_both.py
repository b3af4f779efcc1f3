"""Notices taken on both databases, many at once, and by the role that the public side has on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from receiver.domain.notice import UnverifiedRequest
from receiver.engine.committer import Committer
from receiver.services.limits import SharedLimit
from receiver.steps.admission import WebPorts
from receiver.steps.read_status import read_status
from receiver.steps.receive import receive_notice
from receiver.steps.receive_direction import receive_direction
from receiver.steps.refusals import RefusedError
from receiver.store import SqlStore
from receiver.store.grants import grants
from tests.doubles.databases import Database
from tests.doubles.web_side import Sender, web_side_over

THREADS = 8


@pytest.fixture
def committer(store: SqlStore) -> Iterator[Committer]:
    running = Committer(store)
    yield running
    running.close()


def said(ports: WebPorts, request: UnverifiedRequest) -> str:
    try:
        return str(receive_notice(request, ports).receipt["receipt_id"])
    except RefusedError as refusal:
        return refusal.slug


def at_once(ports: WebPorts, requests: list[UnverifiedRequest]) -> list[str]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(partial(said, ports), requests))


def test_one_notice_many_times(store: SqlStore, committer: Committer) -> None:
    side = web_side_over(store)
    ports = replace(side.ports, committer=committer)
    assert len(set(at_once(ports, [side.hotline.notice() for _ in range(THREADS)]))) == 1


def test_one_request_many_times(store: SqlStore, committer: Committer) -> None:
    side = web_side_over(store)
    answers = at_once(replace(side.ports, committer=committer), [side.hotline.notice()] * THREADS)
    assert answers.count("already-recorded") == THREADS - 1


def test_many_notices_at_once(store: SqlStore, committer: Committer) -> None:
    side = web_side_over(store)
    requests = [side.hotline.notice(notice_id=f"N-{n}") for n in range(24)]
    assert len(set(at_once(replace(side.ports, committer=committer), requests))) == 24


def test_conflicting_notices_leave_one(store: SqlStore, committer: Committer) -> None:
    side = web_side_over(store)
    requests = [side.hotline.notice(urls=[f"https://img.example.net/{n}"]) for n in range(THREADS)]
    answers = at_once(replace(side.ports, committer=committer), requests)
    assert answers.count("notice-id-reused") == THREADS - 1


def test_budget_is_shared(store: SqlStore) -> None:
    one, other = (SharedLimit(store.take, 3, items_per_minute=10) for _ in range(2))
    waits = [limit.take("hotline") for limit in (one, other, one, other)]
    assert waits[:3] == [None] * 3
    assert waits[3] is not None
    assert 1 <= waits[3] <= 20
    assert one.take("other") is None
    assert one.take_items("hotline", 250) is None  # more than a minute's worth at once counts as all of it
    assert other.take_items("hotline", 1) is not None
    assert other.take_items("other", 10) is None


def test_blocks_keep_the_shared_limit(store: SqlStore) -> None:
    per_minute, processes = 300, [SharedLimit(store.take, 300, items_per_minute=300) for _ in range(2)]
    began = time.monotonic()
    granted, asking = 0, list(processes)
    while asking:
        asking = [limit for limit in asking if limit.take("hotline") is None]
        granted += len(asking)
    refilled = per_minute * (time.monotonic() - began) / 60
    assert per_minute <= granted <= per_minute + refilled + 1


@pytest.fixture
def web_role(postgres_database: Database) -> Iterator[SqlStore]:
    """The store as the public side opens it: it may record and nothing else."""
    with postgres_database.engine().begin() as conn:
        for role in ("tr_web", "tr_admin", "tr_worker"):
            if conn.execute(text(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'")).first() is None:
                conn.execute(text(f"CREATE ROLE {role} LOGIN"))
        for statement in grants(web="tr_web", admin="tr_admin", worker="tr_worker"):
            conn.execute(text(statement))
    url = make_url(postgres_database.url).set(username="tr_web").render_as_string(hide_password=False)
    opened = replace(postgres_database, url=url).open()
    yield opened
    opened.close()


def test_web_role_suffices(web_role: SqlStore) -> None:
    side = web_side_over(web_role)
    ports, hotline = replace(side.ports, budget=SharedLimit(web_role.take, 100, items_per_minute=100)), side.hotline
    assert not receive_notice(hotline.notice(urls=["https://img.example.net/a"] * 5), ports).repeated
    assert receive_notice(hotline.notice(urls=["https://img.example.net/a"] * 5), ports).repeated
    assert said(ports, hotline.notice()) == "notice-id-reused"
    assert said(ports, hotline.notice(notice_id="N-2", category="terrorism")) == "category-not-allowed"
    assert not receive_direction(hotline.direction("N-1"), "N-1", ports).repeated
    assert receive_direction(hotline.direction("N-1"), "N-1", ports).repeated
    status = read_status(hotline.request("GET", "/v1/notices/N-1"), "N-1", ports).body
    assert len(status["events"]) == 5
    stranger = Sender(issuer="hotline", key_id="hotline-1")
    assert said(ports, stranger.notice()) == "signature-not-accepted"
