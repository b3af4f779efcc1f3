"""Compares a world with the plain model: what each case wants, what is public, what may be removed."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.domain.rows import CaseView
from receiver.domain.status import Track
from receiver.resolution.urls import canonical_url
from tests.doubles.walking_record import Record


@dataclass(kw_only=True)
class Shadow(Record):
    """The record, and what must hold of it."""

    def check_pauses(self, before: tuple[frozenset[str], frozenset[str], frozenset[str]]) -> None:
        scopes, after = {pause.scope for pause in self.world.db.pauses()}, self.acts()
        if "all" in scopes:
            assert after == before, "something was done in a pause of everything"
        if "adapter:www" in scopes:
            assert after[1:] == before[1:], "the store was acted on in its pause"

    def check_always(self) -> None:
        for url in self.bystanders:
            path = canonical_url(url).path.decode()
            assert self.world.public_get(url) == self.last[path], "a bystander was touched"
        asked = {(canonical_url(ask.url).host, canonical_url(ask.url).path) for ask in self.asks.values()}
        rules = [rule for rules in self.world.gate._denied.values() for rule in rules]
        assert {(rule.host, rule.path) for rule in rules} <= asked, "a gate refuses what nobody asked for"
        for view in self.cases():
            pins = [seal.pin for seal in view.seals]
            assert len(pins) == len(set(pins)), "one pin was sealed twice"
            for act in view.acts:
                if act.kind == "remove" and act.op_id not in self.removals:
                    self.removals.add(act.op_id)
                    self._check_removal(view, act.intent["block"])

    def _check_removal(self, view: CaseView, block: str) -> None:
        held_since = next(act.begun_at for act in view.acts if act.op_id == block)
        days = self.world.policy.remove_after_days
        assert self.case(view).may_remove(self.now, held_since=held_since, days=days), "removed what must be kept"

    def compare(self) -> None:
        """Every case that rests, against the model."""
        paused = self.world.db.pauses()
        for view in self.cases():
            if not paused and self._rests(view):
                self._compare_one(view)

    def _rests(self, view: CaseView) -> bool:
        tracks = (view.exposure, view.evidence)
        due = view.exposure.due_at is not None and view.exposure.due_at <= self.now
        notices = {claim.notice.id for claim in view.claims}
        works = [self.world.db.load_work(Track.RESOLVE, notice) for notice in notices]
        quiet = all(work is not None and work.state == "resolved" for work in works)
        known = view.exposure.state in ("idle", "watch") or (
            view.exposure.state == "open" and not self._spoken_for(view)
        )
        return quiet and known and not due and not any(work.attempts for work in tracks)

    def _spoken_for(self, view: CaseView) -> bool:
        """The store holds nothing, and another case denies the URL: that one tells of the item then."""
        return bool(self.case(view).standing())

    def _compare_one(self, view: CaseView) -> None:
        case = self.case(view)
        wanted = case.want(self.now)
        self.compared[wanted] += 1
        assert view.case.want.value == wanted, f"{view.case.want} is not {wanted}: {case}"
        held = {hold.origin for hold in view.holds if hold.released_at is None}
        assert held == {f"issuer:{hold.origin}" for hold in case.holds if hold.bars(self.now)}, "a hold is lost"
        asks = {claim.item.id: self.asks[claim.item.id] for claim in view.claims}
        for item, ask in asks.items():
            cases = [self.case(one) for one in self.cases_of(item)]
            allowed = {status for one in cases for status in one.statuses(ask, self.now)}
            assert ask.status in allowed, f"{ask.status} is not in {allowed}: {case}"
        visible = case.visible(self.now)
        for url in view.urls:
            self._compare_public(view, str(url.way["raw"]), visible)

    def _compare_public(self, view: CaseView, url: str, visible: bool | None) -> None:
        path = canonical_url(url).path
        if visible is False and (self.gates or view.case.adapter == "url" or not self.visited):
            assert self.world.public_get(url) is None, "it is to be down, and the public finds it"
        alone = all(
            other.case.id == view.case.id or all(canonical_url(u.url).path != path for u in other.urls)
            for other in self.cases()
        )
        if visible and alone:
            assert self.world.public_get(url) == self.last[path.decode()], "nobody wants it down, and it is not there"

    def check_calm(self) -> None:
        self.compare()
        for notice in self.notices:
            issuer = self.world.policy.issuers.get(self.rows[notice].notice.issuer)
            if issuer is not None and issuer.callback_url is not None:
                assert not self.world.db.undelivered(notice, 10)
        for decision in self.open_decisions:
            row = self.world.db.find_decision(decision)
            assert row is not None
            mine = self.asks[self.open_decisions[decision][1]]
            assert row.state != "approved" or mine.issuer in self.revoked, "what a person decided was not done"
