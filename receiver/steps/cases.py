"""Opening a case for a resolved item, or joining the one that is open: the rows of transaction T2.

A new case starts leased to this worker with the intents of its first acts already written: the denies at its gates, and
where the store was seen to hold it the block and the purges too. So nothing is read or written between T2 and the act.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from adapters.contract import Observation, Presence, to_json
from receiver.domain.ids import new_case_code, new_id
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Page, SpendGuard, Table, Update, Wake
from receiver.domain.ports import Spent
from receiver.domain.rows import CaseRow, CaseUrlRow, CaseView, ClaimRow, NoticeView, WorkRow
from receiver.domain.status import PRIORITY, Act, Evidence, Exposure, Track, Verdict, Want
from receiver.domain.telling import tell
from receiver.domain.want import is_standing
from receiver.quarantine.directions import HELD
from receiver.quarantine.journal import block_intents, deny_intents
from receiver.resolution.resolve import OVER_LIMIT, Course, Judgement, Question, case_identity, way_to
from receiver.steps.hands import look_target
from receiver.steps.tools import Tools

NOTIFIED = 1


class CaseWriter:
    """Collects the cases of one notice, so that two of its items on one resource share a case."""

    def __init__(self, *, work: WorkRow, view: NoticeView, tools: Tools) -> None:
        self._work, self._view, self._tools = work, view, tools
        self._mine: dict[tuple[str, bytes], str] = {}
        self._known: set[str] = set()
        self._urls: set[tuple[str, str]] = set()
        self._customers: set[str] = set()
        self._leased: list[WorkRow] = []
        self._acts = 0
        self._bounded_acts = 0
        self._paged = False

    def added_to(self, spent: Spent) -> Spent:
        """What the issuer spent, with this very notice, which the database does not know of yet."""
        return Spent(acts=spent.acts + self._acts, customers=spent.customers + len(self._customers))

    def spends(self, seen: Spent, since_at: int) -> Outcome:
        """What was within the limits when it was decided must still be so when it is written."""
        if not self._bounded_acts:
            return Outcome()
        issuer = self._tools.issuer(self._view.notice.issuer)
        guard = SpendGuard(
            issuer=issuer.id,
            since_at=since_at,
            seen_acts=seen.acts,
            seen_customers=seen.customers,
            more_acts=self._bounded_acts,
            more_customers=len(self._customers),
            max_acts=issuer.max_acts_per_hour,
            max_customers=issuer.max_customers_per_hour,
        )
        return Outcome(spends=guard)

    def leased(self) -> tuple[WorkRow, ...]:
        return tuple(self._leased)

    def write(self, question: Question, judgement: Judgement, seen: Observation | None) -> Outcome:
        """The rows for one judged item."""
        tools, item = self._tools, question.item
        told = Outcome(changes=(self._canonical(question),))
        if judgement.status is not None:
            pair = [(item, self._view.notice)]
            told = told.plus(
                tell(pair, judgement.status, now=tools.now(), policy=tools.policy, reason=judgement.reason)
            ).plus(Outcome(notes=(self._judged(question, judgement),), pages=self._over_limit(judgement)))
        if judgement.course in (Course.RESOURCE, Course.URL_ALONE) or judgement.deny:
            told = told.plus(self._claim(question, judgement, seen))
        return told

    def deny_meanwhile(self, question: Question) -> Outcome:
        """The store is away: the gates refuse the exact URL until it says what stands there."""
        if question.hit is None or not question.hit.gates or question.preserving:
            return Outcome()
        return self._claim(question, Judgement(course=Course.URL_ALONE), None)

    def _canonical(self, question: Question) -> Update:
        return Update(table=Table.ITEM, where={"id": question.item.id}, values={"canonical": question.url.url})

    def _over_limit(self, judgement: Judgement) -> tuple[Page, ...]:
        """Once for a notice: its issuer's key may be stolen, and only people can tell."""
        if self._paged or judgement.reason not in OVER_LIMIT:
            return ()
        self._paged = True
        words = "it asks for more than it may in an hour, the rest is in review; ask them, and pause or revoke in doubt"
        return (Page(kind="issuer.over_limit", subject=self._view.notice.issuer, text=words),)

    def _judged(self, question: Question, judgement: Judgement) -> LedgerNote:
        detail = {"status": judgement.status, "reason": judgement.reason, "notice": self._view.notice.notice_id}
        return LedgerNote(kind="item.judged", subject=question.item.id, actor="worker", detail=detail)

    def _claim(self, question: Question, judgement: Judgement, seen: Observation | None) -> Outcome:
        self._acts += 1
        self._bounded_acts += not question.approved
        adapter, ref = case_identity(question, judgement, seen)
        stored = judgement.course is Course.RESOURCE
        known = self._mine.get((adapter, ref.locator)) or self._tools.reads.find_open_case(adapter, ref.locator)
        row = self._case_row(question, adapter, ref.locator, ref.scope)
        case = known or row.id
        if known is not None and known not in self._mine.values():
            self._known.add(known)
        url = self._url_row(question, case, stored=stored)
        changes = [*self._claim_rows(question, case), *self._url_insert(url)]
        if question.hit is not None:
            self._customers.add(question.hit.customer)
        if known is not None:
            wakes = tuple(
                Wake(track=track, subject=case, priority=PRIORITY[track]) for track in (Track.EXPOSURE, Track.EVIDENCE)
            )
            return Outcome(
                changes=tuple(changes), bumps=(case,) if case not in self._mine.values() else (), wakes=wakes
            )
        self._mine[adapter, ref.locator] = case
        return self._open(question, row, url, changes, seen if stored else None)

    def _claim_rows(self, question: Question, case: str) -> list[Insert]:
        """The claim and the hold that came with it; none where an approved item had its claim before."""
        if case in self._view.claims.get(question.item.id, ()):
            return []
        values = {"item": question.item.id, "case": case, "act": self._act().value, "rank": NOTIFIED}
        return [Insert(table=Table.CLAIM, values=values), *self._hold(question, case)]

    def _open(
        self, question: Question, row: CaseRow, url: CaseUrlRow, changes: list[Insert], seen: Observation | None
    ) -> Outcome:
        exposure = self._work_row(Track.EXPOSURE, row.id, Exposure.DENY, owner=self._work.owner)
        evidence = self._work_row(Track.EVIDENCE, row.id, Evidence.WAIT, owner=None)
        claim = ClaimRow(item=question.item, notice=self._view.notice, case=row.id, act=self._act(), rank=NOTIFIED)
        down = claim.act is not Act.PRESERVE_ONLY and (
            is_standing(claim, url_alone=row.adapter == "url") or question.item.status != "review"
        )
        if not down:
            exposure = replace(exposure, state=Exposure.IDLE)
        elif seen is not None and seen.presence is Presence.PRESENT:
            # What was observed a moment ago is blocked under its pins; a gate that reloads is not waited for.
            exposure = replace(exposure, state=Exposure.BLOCK)
            row = replace(row, observation=to_json(seen))
        view = CaseView(
            case=row,
            claims=(claim,),
            urls=(url,),
            holds=(),
            acts=(),
            seals=(),
            decisions=(),
            exposure=exposure,
            evidence=evidence,
        )
        acts: tuple[Insert, ...] = ()
        if down:
            self._tools.early.start(row.id, look_target(url, None, denying=False))
            acts = deny_intents(view, now=self._tools.now())
        if exposure.state == Exposure.BLOCK and seen is not None:
            acts += block_intents(view, seen, now=self._tools.now())
        self._leased.append(exposure)
        return Outcome(
            changes=(self._case_insert(row), *changes, _work_insert(exposure), _work_insert(evidence), *acts),
            notes=self._opening_notes(row, down=down),
        )

    def _opening_notes(self, row: CaseRow, *, down: bool) -> tuple[LedgerNote, ...]:
        opened = {"code": row.code, "adapter": row.adapter}
        notes = (LedgerNote(kind="case.opened", subject=row.id, actor="worker", detail=opened),)
        if not down:
            return notes
        wanted = {"code": row.code, "round": 1}
        return (*notes, LedgerNote(kind="exposure.wanted", subject=row.id, actor="worker", detail=wanted))

    def _act(self) -> Act:
        return Act(self._view.notice.handling.get("act", "remove"))

    def _case_row(self, question: Question, adapter: str, locator: bytes, scope: bytes) -> CaseRow:
        now = self._tools.now()
        return CaseRow(
            id=new_id(),
            code=new_case_code(),
            adapter=adapter,
            locator=locator,
            scope=scope,
            customer=question.hit.customer if question.hit else "",
            want=Want.DOWN,
            round=1,
            revision=0,
            observation=None,
            residual=(),
            deadline_at=self._view.notice.deadline_at,
            blocked_at=None,
            effective_at=None,
            was_public=None,
            closed_at=None,
            created_at=now,
        )

    def _case_insert(self, row: CaseRow) -> Insert:
        values = asdict(row) | {"want": row.want.value, "residual": list(row.residual)}
        return Insert(table=Table.CASE, values=values)

    def _url_row(self, question: Question, case: str, *, stored: bool) -> CaseUrlRow:
        way = way_to(question, stored=stored)
        return CaseUrlRow(
            case=case, url=question.url.url, url_hmac="", way=way, verdict=Verdict.UNSEEN, checked_at=None, looks=()
        )

    def _url_insert(self, row: CaseUrlRow) -> list[Insert]:
        """Every URL by which the resource was notified is purged and looked at; the same one again adds no row."""
        if (row.case, row.url) in self._urls:
            return []
        self._urls.add((row.case, row.url))
        if row.case in self._known and self._tools.reads.case_has_url(row.case, row.url):
            return []
        values = {"case": row.case, "url": row.url, "way": dict(row.way), "verdict": row.verdict.value, "looks": []}
        return [Insert(table=Table.CASE_URL, values=values)]

    def _hold(self, question: Question, case: str) -> list[Insert]:
        handling: Mapping[str, Any] = self._view.notice.handling
        held = {"until_at": handling.get("hold_until"), "reference": handling.get("police_reference")}
        said = question.item.details.get(HELD, held if handling.get("legal_hold") else None)
        if said is None:
            return []
        origin = f"issuer:{question.notice.issuer}"
        return [Insert(table=Table.HOLD, values={"id": new_id(), "case": case, "origin": origin, **said})]

    def _work_row(self, track: Track, subject: str, state: str, *, owner: str | None) -> WorkRow:
        return WorkRow(
            track=track,
            subject=subject,
            state=state,
            due_at=self._tools.now() if owner else None,
            priority=PRIORITY[track],
            owner=owner,
            epoch=1 if owner else 0,
            nudges=0,
            attempts=0,
            first_failed_at=None,
            last_error=None,
            stuck_from=None,
        )


def _work_insert(row: WorkRow) -> Insert:
    return Insert(table=Table.WORK, values=asdict(row) | {"track": row.track.value})
