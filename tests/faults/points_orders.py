"""What a process can be ordered to do. An order that died with its process is given again to the next one.

So each must be one that whoever gave it would give again: an issuer sends again what was not answered, and a person
looks again and then does what is not done yet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import select

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.notice import UnverifiedRequest
from receiver.domain.outcome import Outcome, Page
from receiver.domain.rows import CaseView, EventRow, NoticeView, WorkRow
from receiver.domain.status import Track
from receiver.services.admin_errors import StaffError
from receiver.steps.read_status import ask
from receiver.steps.receive import receive_notice
from receiver.steps.receive_direction import receive_direction
from receiver.steps.refusals import RefusedError
from receiver.store import tables
from tests.doubles.staff import ANN, BOB, EVE
from tests.faults.points_process import Process

PERSONS = {"ann": ANN, "bob": BOB, "eve": EVE}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the database says when all is done."""

    notices: dict[str, NoticeView]
    events: dict[str, tuple[EventRow, ...]]
    undelivered: dict[str, int]
    cases: tuple[CaseView, ...]
    work: tuple[Any, ...]
    entries: tuple[Any, ...]
    pages: tuple[str, ...]
    ledger_problems: list[str]
    now: int


def _slug(refusal: RefusedError) -> str:
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise StoreUnavailableError("an issuer sends again what was not recorded") from refusal
    return refusal.slug


def hand_in(process: Process, request: UnverifiedRequest) -> Any:
    try:
        return receive_notice(request, process.web).receipt
    except RefusedError as refusal:
        return _slug(refusal)


def direct(process: Process, request: UnverifiedRequest, notice_id: str) -> Any:
    try:
        return receive_direction(request, notice_id, process.web).receipt
    except RefusedError as refusal:
        return _slug(refusal)


def ask_status(process: Process, request: UnverifiedRequest) -> None:
    ask(request, process.web)


def work(process: Process) -> int:
    return process.work()


def number(process: Process) -> None:
    process.number()


def sweep(process: Process, name: str) -> None:
    process.sweeper(name)()


def stop(process: Process) -> None:
    process.db.retire_worker(process.worker)


def resolve_alone(process: Process) -> None:
    """The cases it opens are leased to a worker that then loses sight of them."""
    process.work(only=Track.RESOLVE)


def lose_track(process: Process) -> None:
    """Rows are leased and the answer is lost on the way; the worker frees them again."""
    for track in Track:
        for level in range(10):
            process.db.claim(process.worker, track, level, 10)
    process.db.give_back(process.worker, process.db.leases_of(process.worker))


def reload(process: Process) -> None:
    process.db.reconfigured(process.worker, "other settings")


def raise_page(process: Process) -> None:
    process.committer.submit(Outcome(pages=(Page(kind="test.call", subject="x", text="words"),)))


def person(process: Process, name: str, what: str, *args: Any) -> None:
    """Done once, whoever died meanwhile: what is done already cannot be done again."""
    with contextlib.suppress(StaffError):
        PEOPLE[what](process, PERSONS[name], *args)


def account(process: Process, what: str, *args: Any) -> None:
    """Of the staff's accounts. What was made by the dead process is found there by the next one."""
    staff = process.staff()
    with contextlib.suppress(StaffError):
        if what == "sign_in":
            secret = staff.sign_in.sign_in(*args, address="127.0.0.1")
            process.clock.move(minutes=10)
            staff.sign_in.by_session(secret)
            staff.sign_in.sign_out(secret)
        elif what == "revoke_token":
            for token in staff.people.tokens():
                staff.people.revoke_token(token.id, actor="test")
        else:
            getattr(staff.people, what)(*args, actor="test")


def _case(process: Process, notice_id: str) -> str:
    row = process.db.find_notice("iwf", notice_id)
    assert row is not None
    (case,) = {c for cases in process.db.load_notice(row.id).claims.values() for c in cases}
    return process.db.load_case(case).case.code


def _item(process: Process, notice_id: str) -> str:
    row = process.db.find_notice("iwf", notice_id)
    assert row is not None
    return process.db.load_notice(row.id).items[0].id


def _asked(process: Process) -> str:
    return next((d.id for d in process.db.list_decisions("asked", limit=10)), "")


def _page(process: Process, subject: str) -> str:
    return next((page.id for page in process.db.open_pages(10) if page.subject == subject), "")


def _notice(process: Process, notice_id: str) -> str:
    row = process.db.find_notice("iwf", notice_id)
    assert row is not None
    return row.id


PEOPLE: dict[str, Callable[..., Any]] = {
    "approve": lambda p, who, notice: p.staff().review.approve_item(_item(p, notice), who, "because"),
    "refuse": lambda p, who, notice: p.staff().review.refuse_item(_item(p, notice), who, "because"),
    "release": lambda p, who, notice: p.staff().review.release_case(_case(p, notice), who, "a mistake"),
    "retry": lambda p, who, notice: p.staff().review.retry_case(_case(p, notice), who),
    "agree": lambda p, who: p.staff().review.agree(_asked(p), who),
    "decline": lambda p, who: p.staff().review.decline(_asked(p), who),
    "retry_notice": lambda p, who, notice: p.staff().desk.retry_notice(_notice(p, notice), who),
    "resend": lambda p, who, notice: p.staff().desk.resend_dead(_notice(p, notice), who),
    "pause": lambda p, who, scope: p.staff().desk.pause(scope, who),
    "resume": lambda p, who, scope: p.staff().desk.resume(scope, who),
    "acknowledge": lambda p, who, subject: p.staff().desk.acknowledge(_page(p, subject), who),
    "look": lambda p, who, notice: p.staff().lists.case(process_case(p, notice), who),
}


def process_case(process: Process, notice_id: str) -> str:
    return process.staff().review.case_id(_case(process, notice_id))


def look(process: Process) -> Picture:
    """Everything that is judged, as plain values."""
    process.fuse.muted = True
    db = process.db
    with db._db.read() as conn:
        notices = list(conn.execute(select(tables.notice.c.id).order_by(tables.notice.c.created_at)).scalars())
        cases = list(conn.execute(select(tables.case.c.id).order_by(tables.case.c.created_at)).scalars())
        rows = tuple(tuple(row) for row in conn.execute(select(tables.work.c.track, tables.work.c.subject)))
        entries = tuple((row.kind, row.seq) for row in conn.execute(select(tables.entry.c.kind, tables.entry.c.seq)))
    return Picture(
        notices={db.load_notice(n).notice.notice_id: db.load_notice(n) for n in notices},
        events={db.load_notice(n).notice.notice_id: db.events_of(n) for n in notices},
        undelivered={n: len(db.undelivered(n, 10)) for n in notices},
        cases=tuple(db.load_case(case) for case in cases),
        work=tuple(_work(process, *row) for row in rows),
        entries=entries,
        pages=tuple(sorted({page.kind for page in db.open_pages(100)})),
        ledger_problems=process.verify(),
        now=db.now(),
    )


def _work(process: Process, track: str, subject: str) -> WorkRow | None:
    return process.db.load_work(Track(track), subject)


ORDERS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        *(hand_in, direct, ask_status, work, number, sweep, stop, reload, raise_page, person, look),
        *(resolve_alone, lose_track, account),
    )
}
