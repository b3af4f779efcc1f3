"""What waits for a person, and cases to look at. A case that is looked at is entered in the ledger first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from receiver.domain.clock import Clock, to_micros
from receiver.domain.outcome import LedgerNote, Outcome
from receiver.domain.policy import Policy
from receiver.domain.ports import Committer, ItemLine, LedgerStore, PageRow, Reads, StoredEntry
from receiver.domain.rows import CaseView
from receiver.domain.status import Track
from receiver.domain.want import is_standing
from receiver.domain.web import defang
from receiver.services import shown
from receiver.services.admin_errors import NotThereError
from receiver.services.persons import Person
from receiver.services.possible import is_over, item_hindrance, release_hindrance, retry_hindrance
from receiver.services.shown import Shown

PAGE_ROWS = 50
MAX_ENTRIES = 300
VIEWED = "case.viewed"
_ON_WITHDRAWAL = {
    "one_person": "One person is enough to bring content back that its issuer withdrew (policy.on_withdrawal).",
    "auto": "What an issuer withdraws comes back by itself, nobody is asked (policy.on_withdrawal = auto).",
}


class ListService:
    """Answers are plain values, fit to be shown."""

    def __init__(
        self, *, reads: Reads, ledger: LedgerStore, committer: Committer, policy: Policy, clock: Clock
    ) -> None:
        self._reads, self._ledger, self._committer = reads, ledger, committer
        self._policy, self._clock = policy, clock

    def banner(self) -> tuple[str, ...]:
        """Settings that are less strict than they could be; shown on every page."""
        words = []
        if not self._policy.two_people:
            words.append("One person alone can release here (policy.two_people = false).")
        if self._policy.on_withdrawal != "two_people":
            words.append(_ON_WITHDRAWAL[self._policy.on_withdrawal])
        scopes = [pause.scope for pause in self._reads.pauses()]
        if scopes:
            words.append(f"Paused: {', '.join(scopes)}. Notices are taken, but nothing is done about them.")
        return tuple(words)

    def items(self, status: str, *, after: str | None = None) -> list[Shown]:
        """A page of items, oldest first from key to key, and within the page the nearest deadline first."""
        lines = self._reads.list_items(status, after=after, limit=PAGE_ROWS)
        lines = tuple(sorted(lines, key=lambda line: (shown.due(line.notice, self._policy), line.item.id)))
        return [self._item(line) for line in lines]

    def item(self, item: str, person: Person) -> Shown:
        """One item with what may be decided about it; its cases are entered as looked at."""
        line = self._reads.find_item(item)
        if line is None:
            raise NotThereError("there is no such item")
        self._viewed(line.cases or (line.item.id,), person)
        decisions = [d for d in self._reads.load_notice(line.notice.id).decisions if d.item == item]
        now = self._now()
        return {
            **self._item(line),
            "hindrance": item_hindrance(line.item, decisions, now),
            "decisions": [shown.decision(d, None, now) for d in decisions],
            "events": [shown.event(e) for e in self._reads.events_of(line.notice.id) if e.item == item],
        }

    def cases(self, *, state: str | None, issuer: str | None, after: str | None) -> list[Shown]:
        now = self._now()
        lines = self._reads.list_cases(state=state, issuer=issuer, after=after, limit=PAGE_ROWS)
        return [shown.case_line(line, now) for line in lines]

    def decisions(self) -> list[Shown]:
        """Asked for and waiting for somebody to agree, oldest first."""
        now = self._now()
        rows = [d for d in self._reads.list_decisions("asked", limit=200) if not is_over(d, now)]
        return [shown.decision(d, self._code(d.case), now) for d in rows]

    def decision(self, decision: str) -> Shown:
        row = self._reads.find_decision(decision)
        if row is None:
            raise NotThereError("there is no such decision")
        return shown.decision(row, self._code(row.case), self._now())

    def dead_letters(self, *, after: str | None = None) -> list[Shown]:
        """Events that were given up, with the issuer who never heard them."""
        rows = self._reads.dead_events(after=after, limit=PAGE_ROWS)
        notices = {n: self._reads.load_notice(n).notice for n in {row.notice for row in rows}}
        return [
            {**shown.event(r), "issuer": notices[r.notice].issuer, "notice_id": notices[r.notice].notice_id}
            for r in rows
        ]

    def stuck(self) -> list[Shown]:
        found = []
        for work in self._reads.stuck_work(PAGE_ROWS):
            of_case = work.track in (Track.EXPOSURE, Track.EVIDENCE)
            case = self._code(work.subject) if of_case else None
            found.append({**shown.track(work), "case": case, "notice": None if of_case else work.subject})
        return found

    def pages(self) -> list[Shown]:
        now = self._now()
        return [shown.page(row, self._case_of(row), now) for row in self._reads.open_pages(PAGE_ROWS)]

    def _case_of(self, page: PageRow) -> str | None:
        """The case that a call is about; None where it is about a place, an issuer, a notice or many cases."""
        about_case = self._reads.load_work(Track.EXPOSURE, page.subject) is not None
        return self._code(page.subject) if about_case else None

    def pauses(self) -> list[Shown]:
        return [shown.pause(row) for row in self._reads.pauses()]

    def ledger_head(self) -> Shown:
        checkpoint = self._ledger.last_checkpoint()
        return {
            "entries": self._ledger.ledger_size(),
            "waiting": self._ledger.count_unsequenced(),
            "checkpoint": None if checkpoint is None else checkpoint.note,
            "checkpoint_at": None if checkpoint is None else shown.when(checkpoint.created_at),
            "checkpoint_entries": None if checkpoint is None else checkpoint.size,
            "copies": [] if checkpoint is None else list(checkpoint.copies),
        }

    def case(self, case: str, person: Person) -> Shown:
        """Everything about one case that may be seen; that it was looked at is entered before it is shown."""
        self._viewed((case,), person)
        view, now = self._reads.load_case(case), self._now()
        entries = self._entries(view)
        row = view.case
        url_alone = row.adapter == "url"
        return {
            "code": row.code,
            "adapter": row.adapter,
            "customer": row.customer,
            "want": row.want.value,
            "round": row.round,
            "opened_at": shown.when(row.created_at),
            "deadline_at": shown.when(row.deadline_at),
            "blocked_at": shown.when(row.blocked_at),
            "effective_at": shown.when(row.effective_at),
            "closed_at": shown.when(row.closed_at),
            "was_public": row.was_public,
            "residual": list(row.residual),
            "release_hindrance": release_hindrance(view, now),
            "retry_hindrance": retry_hindrance(view),
            "tracks": [shown.track(view.exposure), shown.track(view.evidence)],
            "claims": [
                shown.claim(c.item, c.notice, c.act.value, stands=is_standing(c, url_alone=url_alone))
                for c in view.claims
            ],
            "urls": _urls(view),
            "seals": [shown.seal(seal) for seal in view.seals],
            "holds": [
                {"origin": h.origin, "until_at": shown.when(h.until_at), "released_at": shown.when(h.released_at)}
                for h in view.holds
            ],
            "acts": [shown.act(act) for act in view.acts],
            "decisions": [shown.decision(d, row.code, now) for d in view.decisions],
            "events": [shown.event(event) for event in self._reads.events_of_case(case)],
            "timeline": [shown.entry(e) for e in entries if e.kind != VIEWED],
            "viewed": [shown.entry(e) for e in entries if e.kind == VIEWED],
        }

    def _entries(self, view: CaseView) -> list[StoredEntry]:
        subjects = {view.case.id}
        for claim in view.claims[:20]:
            subjects |= {claim.item.id, claim.notice.id}
        found = [e for subject in subjects for e in self._reads.entries_about(subject, MAX_ENTRIES)]
        return sorted(found, key=lambda e: e.id)[-MAX_ENTRIES:]

    def _viewed(self, subjects: Iterable[str], person: Person) -> None:
        notes = tuple(LedgerNote(kind=VIEWED, subject=subject, actor=person.name) for subject in subjects)
        self._committer.submit(Outcome(notes=notes))

    def _item(self, line: ItemLine) -> Shown:
        codes = [code for case in line.cases if (code := self._code(case)) is not None]
        return shown.item_line(line, codes, self._policy, self._now())

    def _code(self, case: str | None) -> str | None:
        return None if case is None else self._reads.load_case(case).case.code

    def _now(self) -> int:
        return to_micros(self._clock.now())


def _urls(view: CaseView) -> list[dict[str, Any]]:
    return [
        {
            "url": defang(url.url),
            "verdict": url.verdict.value,
            "checked_at": shown.when(url.checked_at),
            "caches": list(url.way.get("caches", ())),
            "gates": list(url.way.get("gates", ())),
            "looks": [shown.look(look) for look in url.looks],
        }
        for url in view.urls
    ]
