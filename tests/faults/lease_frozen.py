"""A worker frozen at every kind of act at once; its successor finishes it all, takes some of it back; then it wakes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

from tests.faults.lease_stand import Held, Site, start_all
from tests.faults.outside_server import AFTER, BEFORE
from tests.support import wait_until

PLACES = (
    ("deny", BEFORE),
    ("deny", AFTER),
    ("block", BEFORE),
    ("block", AFTER),
    ("freeze", BEFORE),
    ("post", BEFORE),
    ("post", AFTER),
    ("look", AFTER),
)
"""Between the last check and the act, or between the act and its commit."""
UNDOING = (("unblock", BEFORE), ("allow", BEFORE))
TAKEN_BACK = ("deny-before", "deny-after", "block-before", "block-after", "freeze-before")
DOWN = ("post-before", "post-after", "look-after", "unblock-before", "allow-before")
SETTLE_SECONDS = 40.0


@dataclass(kw_only=True)
class Frozen:
    """What was seen on the way."""

    held: list[Held]
    takeovers: dict[Held, float] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    public: dict[str, bytes | None] = field(default_factory=dict)
    """What a visitor gets in the end, by name."""
    late: int = 0
    """Acts that arrived after the worker woke up."""
    lost: int = 0
    """Leases that it found lost."""


def freeze_at_every_act(site: Site, first: int, second: int, *, fenced: bool) -> Frozen:
    start_all(site, (first,))
    start_all(site, (second,))
    # It comes back when the first is frozen, so that all is the first one's until then.
    site.freeze(second)
    notices = _hold_all(site, first)
    site.freeze(first)
    frozen_at = time.monotonic()
    wait_until(lambda: _has_answered(site), "the server ends what it was asked", seconds=SETTLE_SECONDS)
    seen = Frozen(held=site.held_by(first), notices=notices)
    site.ask("let_go")
    site.thaw(second)
    _time_takeovers(site, seen, frozen_at)
    site.wait_until_at_rest(len(notices), SETTLE_SECONDS)
    _take_back_and_ask_again(site, notices)
    _wake(site, first, seen, fenced=fenced)
    seen.public = {name: site.public(name) for name in notices}
    return seen


def _has_answered(site: Site) -> bool:
    """Whether no statement of the frozen runs on: what still holds a lease then is what must be taken over.

    Until it stands, the worker may take a row and end its step; such a row rests, and nobody has to claim it.
    """
    ((running,),) = site.rows(
        """SELECT count(*) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
             AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock'"""
    )
    return bool(running == 0)


def _more_wait(site: Site, met: int) -> bool:
    return len(site.ask("waiting")) > met


def _hold_all(site: Site, first: int) -> dict[str, str]:
    """One case for each place; the worker waits there in as many threads."""
    who, notices = f"w{first}", dict[str, str]()
    for what, when in UNDOING:
        notices[f"{what}-{when}"] = site.notify(f"{what}-{when}")
    site.wait_until_at_rest(len(UNDOING), SETTLE_SECONDS)
    for what, when in (*UNDOING, *PLACES):
        name, met = f"{what}-{when}", len(site.ask("waiting"))
        site.ask("hold", who, what, when)
        if name in notices:
            site.world.direct(notices[name], "withdraw")
        else:
            notices[name] = site.notify(name)
        wait_until(partial(_more_wait, site, met), f"it waits at {name}", seconds=SETTLE_SECONDS)
    wait_until(lambda: len(site.held_by(first)) == len(notices), "nothing else runs", seconds=SETTLE_SECONDS)
    return notices


def _time_takeovers(site: Site, seen: Frozen, since: float) -> None:
    """From the freeze to the next claim of each row, as the database says.

    A row that nobody holds under the same epoch was given back by its worker: that commit was on its way as it froze.
    """
    epochs = {(track, subject): (track, subject, epoch) for track, subject, epoch in seen.held}

    def all_taken() -> bool:
        for track, subject, epoch, owner in site.rows("SELECT track, subject, epoch, owner FROM work"):
            held = epochs.get((track, subject))
            if held is not None and epoch > held[2]:
                seen.takeovers.setdefault(held, time.monotonic() - since)
            elif held in seen.held and owner is None:
                seen.held.remove(held)
        return len(seen.takeovers) == len(seen.held)

    deadline = time.monotonic() + SETTLE_SECONDS
    while not all_taken():
        left = [held for held in seen.held if held not in seen.takeovers]
        assert time.monotonic() < deadline, f"not taken over: {left}; {_what_stands(site)}"
        time.sleep(0.1)


def _what_stands(site: Site) -> str:
    """What may keep a row from being claimed: who holds it, when it is due, and which transaction has it locked."""
    asked = (
        "SELECT id, seen_at FROM worker",
        "SELECT track, subject, state, owner, epoch, due_at, priority FROM work WHERE owner IS NOT NULL",
        """SELECT pid, state, wait_event_type, wait_event, now() - xact_start, now() - state_change, left(query, 60)
           FROM pg_stat_activity WHERE datname = current_database()""",
        "SELECT pid, locktype, mode, granted FROM pg_locks WHERE relation IS NULL OR relation = 'work'::regclass",
    )
    return "; ".join(str(site.rows(query)) for query in asked)


def _take_back_and_ask_again(site: Site, notices: dict[str, str]) -> None:
    for name in TAKEN_BACK:
        site.world.direct(notices[name], "withdraw")
    again = [site.notify_again(name) for name in ("unblock-before", "allow-before")]
    site.wait_until_at_rest(len(notices) + len(again), SETTLE_SECONDS)
    for name in TAKEN_BACK:
        assert site.public(name) == name.encode(), f"{name} was not restored"


def _wake(site: Site, first: int, seen: Frozen, *, fenced: bool) -> None:
    before = len(site.calls())
    site.thaw(first)
    late = [what for what, when in (*PLACES, *UNDOING) if when == BEFORE]

    def arrived() -> bool:
        calls = [c for c in site.calls()[before:] if c.lease.worker == f"w{first}" and c.what in late]
        seen.late, seen.lost = len(calls), site.log(first).count("lease.lost")
        return seen.late >= len(late) and (not fenced or seen.lost >= len(seen.held))

    deadline = time.monotonic() + SETTLE_SECONDS
    while not arrived():
        if time.monotonic() > deadline:
            heard = f"of {len(seen.held)} late steps {seen.lost} heard it, {seen.late} acts came"
            raise AssertionError(f"{heard}; {site.stacks(first)}")
        time.sleep(0.1)
    if not fenced:
        # Nothing tells when its late commits are through; the finding itself is waited for.
        return
    site.wait_until_at_rest(len(seen.notices), SETTLE_SECONDS)
    wait_until(site.is_numbered, "all entries have their number", seconds=SETTLE_SECONDS)
