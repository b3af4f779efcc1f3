"""What must be true of a site at rest, whatever its workers met: nothing lost, doubled, or done by who may not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from tests.faults.lease_stand import Site
from tests.faults.outside_server import Call

ONCE = ("case.opened", "exposure.wanted", "url.denied", "resource.blocked", "seen.gone", "evidence.sealed")
"""What the ledger says of a case once in a round; these cases have one."""


def findings(site: Site) -> list[str]:
    """Every broken promise, in words; empty is good."""
    calls, letters = site.ask("seen")
    return [
        *doubled(site),
        *lost(site),
        *numbering(site),
        *out_of_order(letters),
        *stale(calls),
    ]


def doubled(site: Site) -> Iterator[str]:
    """Whatever was finished more than once."""
    for notice, item_id, status, count in site.rows(
        "SELECT notice, item_id, status, count(*) FROM event GROUP BY notice, item_id, status HAVING count(*) > 1"
    ):
        yield f"notice {notice} was told {status} of item {item_id} {count} times"
    for case, pin, count in site.rows(
        'SELECT "case", pin, count(*) FROM seal GROUP BY "case", pin HAVING count(*) > 1'
    ):
        yield f"case {case} has {count} seals of pin {pin}"
    for case, kind, count in site.rows(
        """SELECT a."case", a.kind, count(*) FROM act a JOIN case_ c ON c.id = a."case"
           WHERE a.kind IN ('deny', 'block') GROUP BY a."case", a.kind, c.round HAVING count(*) > c.round"""
    ):
        yield f"case {case} has {count} acts {kind}"
    for kind, subject, count in site.rows(
        """SELECT e.kind, e.subject, count(*) FROM entry e JOIN case_ c ON c.id = e.subject WHERE e.kind = ANY(:kinds)
           GROUP BY e.kind, e.subject, c.round HAVING count(*) > c.round""",
        kinds=list(ONCE),
    ):
        yield f"the ledger says {kind} of {subject} {count} times"


def lost(site: Site) -> Iterator[str]:
    """Whatever is not finished, and whoever was told less than all."""
    for track, subject, state, error in site.rows(
        "SELECT track, subject, state, last_error FROM work WHERE state = 'stuck' OR stuck_from IS NOT NULL"
    ):
        yield f"{track} of {subject} is {state}: {error}"
    for notice, last, count, highest in site.rows(
        """SELECT n.id, n.last_sequence, count(e.id), max(e.sequence) FROM notice n LEFT JOIN event e ON e.notice = n.id
           GROUP BY n.id, n.last_sequence HAVING count(e.id) <> n.last_sequence OR max(e.sequence) <> n.last_sequence"""
    ):
        yield f"notice {notice} has {count} events up to {highest}, and numbered {last}"
    for (case,) in site.rows('SELECT id FROM case_ WHERE id NOT IN (SELECT "case" FROM seal)'):
        yield f"case {case} was never sealed"
    for kind, count in site.rows("SELECT kind, count(*) FROM page GROUP BY kind"):
        if not kind.endswith(".waiting"):
            yield f"{count} page(s) of {kind}"


def numbering(site: Site) -> Iterator[str]:
    """One leader at a time: no number twice, and none left out. An entry that came a moment ago may have none yet."""
    ((count, distinct, highest),) = site.rows(
        "SELECT count(seq), count(DISTINCT seq), coalesce(max(seq), -1) FROM entry"
    )
    if not count == distinct == highest + 1:
        yield f"{count} numbered entries have {distinct} numbers up to {highest}"
    ((left,),) = site.rows(
        "SELECT count(*) FROM entry WHERE seq IS NULL AND at < :before", before=time.time_ns() // 1000 - 30_000_000
    )
    if left:
        yield f"{left} entries still have no number after half a minute"


def out_of_order(letters: Iterable[tuple[float, list[tuple[str, str, int]]]]) -> Iterator[str]:
    """A letter may come twice, and is known by its id; what comes for the first time comes in order."""
    heard: set[str] = set()
    last: dict[str, int] = {}
    for _, told in letters:
        for event, notice, sequence in told:
            if event in heard:
                continue
            heard.add(event)
            if sequence <= last.get(notice, 0):
                yield f"{notice} heard event {sequence} after {last[notice]}"
            last[notice] = sequence


def stale(calls: Iterable[Call]) -> Iterator[str]:
    """An act under a lost lease that changed the outside after its successor had begun.

    A letter is no such act: no issuer can fence it, so it is judged by its id and its place in the order.
    """
    newest: dict[tuple[str, str], int] = {}
    for call in (call for call in calls if call.what != "post"):
        key = (call.lease.track, call.lease.subject)
        if call.changed and call.lease.epoch < newest.get(key, 0):
            yield f"{call.what} of {key} changed something under epoch {call.lease.epoch}, after {newest[key]}"
        newest[key] = max(newest.get(key, 0), call.lease.epoch)


def repeated(calls: Iterable[Call]) -> int:
    """Acts sent more than once: allowed, since each is known by its op_id."""
    acts = Counter((c.what, c.op_id) for c in calls if c.what in ("deny", "block", "unblock", "allow"))
    return sum(count - 1 for count in acts.values())
