"""Keeps the plain model beside a world: what was done, what took effect, and what issuers heard."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from receiver.domain.clock import to_micros
from receiver.domain.rows import CaseView, ItemRow, NoticeView
from receiver.resolution.urls import canonical_url
from tests.doubles.model import Ask, Case, Hold
from tests.doubles.world import HOST, World

AGREEMENT = {"auto": 0, "one_person": 1, "two_people": 2}


@dataclass(kw_only=True)
class Record:
    """What was done to the world, in the model's terms."""

    world: World
    bystanders: tuple[str, ...]
    gates: bool
    agreement: str
    """How withdrawals are agreed to: `auto`, `one_person`, `two_people`."""
    notices: list[str] = field(default_factory=list)
    asks: dict[str, Ask] = field(default_factory=dict)
    holds: list[tuple[Ask, Hold]] = field(default_factory=list)
    said: dict[str, set[str]] = field(default_factory=dict)
    agreed: dict[str, set[str]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    visited: bool = False
    """Whether caches or the store may hold what no look has found yet."""
    last: dict[str, bytes | None] = field(default_factory=dict)
    open_decisions: dict[str, tuple[str, str]] = field(default_factory=dict)
    open_directions: list[tuple[str, str, list[str]]] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    settled: set[str] = field(default_factory=set)
    acted: set[str] = field(default_factory=set)
    removals: set[str] = field(default_factory=set)
    compared: Counter[str] = field(default_factory=Counter)
    uploads: int = 0
    views: dict[str, CaseView] = field(default_factory=dict)
    rows: dict[str, NoticeView] = field(default_factory=dict)

    def __post_init__(self) -> None:
        remove = self.world.store.remove

        def checked(ref: Any, proof: Any, receipt: Any, op_id: str) -> Any:
            block = self.world.memory.blocks.get(receipt.op_id)
            for pin in receipt.pins if block is not None else ():
                assert block is not None
                assert block.taken.body(pin) in self.world.vault.sealed.values(), "removed without a seal of its bytes"
            return remove(ref, proof, receipt, op_id)

        self.world.store.remove = checked  # type: ignore[method-assign]

    # --- what was done

    def upload(self, path: str) -> None:
        self.uploads += 1
        self.visited = True
        self.last[path] = f"field {self.uploads}".encode()
        self.world.put(path, self.last[path] or b"")
        self._clear_caches(path)

    def delete(self, path: str) -> None:
        """What is blocked has no name any more that a customer could delete."""
        if f"acme{path}".encode() not in self.world.memory.names:
            return
        self.last[path] = None
        self.world.memory.delete_as_customer(f"acme{path}".encode())
        self._clear_caches(path)

    def _clear_caches(self, path: str) -> None:
        """As a customer's own site does for any change."""
        for url in (f"{s}://{HOST}{path}{q}" for s in ("http", "https") for q in ("", "?v=1")):
            self.world.cache._kept.pop(url, None)

    def asked(self, notice: str, *, issuer: str, category: str, act: str, deadline_at: int | None, hold: bool) -> None:
        self.notices.append(notice)
        now = to_micros(self.world.clock.now())
        for item in self.world.notice(notice).items:
            ask = Ask(issuer=issuer, url=item.url, act=act, asked_at=now, deadline_at=deadline_at)
            ask.rules = {"revoked"} if issuer in self.revoked else {self._rule(issuer, category, item.url)}
            self.asks[item.id] = ask
            if hold:
                self.holds.append((ask, Hold(origin=issuer)))

    def _rule(self, issuer: str, category: str, url: str) -> str:
        settings = self.world.policy.issuers.get(issuer)
        rule = settings.categories.get(category, "refuse") if settings else "refuse"
        return "protected" if rule == "act" and ("index.html" in url or "shared" in url) else rule

    def reloaded(self) -> None:
        """Whoever was not looked at yet may be judged by the old settings or the new ones."""
        for notice in self.notices:
            view = self.world.notice(notice)
            for item in view.items:
                ask = self.asks[item.id]
                if ask.status == "received" and "revoked" not in ask.rules:
                    ask.rules.add(self._rule(ask.issuer, view.notice.category, item.url))

    def revoke(self, issuer: str) -> None:
        self.revoked.add(issuer)
        for notice in self.notices:
            view = self.world.notice(notice)
            for item in view.items:
                ask = self.asks[item.id]
                if ask.issuer == issuer and item.canonical is None and not view.claims.get(item.id):
                    ask.rules = {"revoked"}

    def directed(self, notice: str, kind: str, items: list[str]) -> None:
        self.open_directions.append((notice, kind, items))

    def person_said(self, said: Any, name: str, kind: str = "release", item: str = "") -> None:
        if kind != "release":
            self.open_decisions[said.decision] = (kind, item)
        if said.state != "refused":
            self.agreed.setdefault(said.decision, set()).add(name)

    # --- what came of it, read from the world

    def look(self) -> None:
        """Read everything once; it holds until somebody works again."""
        self.rows = {notice: self.world.notice(notice) for notice in self.notices}
        ids = {case for row in self.rows.values() for cases in row.claims.values() for case in cases}
        self.views = {case: self.world.db.load_case(case) for case in sorted(ids)}

    def items(self) -> list[ItemRow]:
        return [item for row in self.rows.values() for item in row.items]

    def waiting(self) -> list[str]:
        return [item.id for item in self.items() if item.status == "review"]

    def cases(self) -> list[CaseView]:
        return list(self.views.values())

    def cases_of(self, item: str) -> list[CaseView]:
        return [self.views[case] for row in self.rows.values() for case in row.claims.get(item, ())]

    def conflicts(self) -> list[str]:
        found = []
        for view in self.cases():
            sides = {ask.wants_now(self.now) == "preserve_only" for ask in self.case(view).standing()}
            if len(sides) == 2:
                found.append(view.case.id)
        return found

    @property
    def now(self) -> int:
        return to_micros(self.world.clock.now())

    def acts(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """Operations in force at the gate, at the store, and removals."""
        memory = self.world.memory
        denied = self.world.gate._denied
        return frozenset(denied), frozenset(memory.blocks), frozenset(memory.removed)

    def case(self, view: CaseView) -> Case:
        """The model's case: whose asks meet in it is ours to say, all else the model's."""
        asks = [self.asks[claim.item.id] for claim in view.claims]
        holds = [hold for ask, hold in self.holds if any(ask is mine for mine in asks)]
        return Case(
            url_alone=view.case.adapter == "url",
            asks=asks,
            holds=holds,
            said=self.said.get(view.case.id, set()),
            acted=self._acted(view),
        )

    def _acted(self, view: CaseView) -> bool:
        denied, blocked, removed = self.acts()
        blocks = [act for act in view.acts if act.kind == "block" and act.receipt is not None]
        if any(act.op_id in denied for act in view.acts):
            return True
        if not blocks:
            return False
        last = max(blocks, key=lambda act: act.begun_at).op_id
        gone = {act.intent["block"] for act in view.acts if act.kind == "remove" and act.op_id in removed}
        return last in blocked or last in gone

    def follow(self) -> None:
        """Hand on to the model what took effect and what issuers heard meanwhile."""
        self.look()
        gone = {path for path, body in self.last.items() if body is None}
        for ask in self.asks.values():
            ask.was_absent |= canonical_url(ask.url).path.decode() in gone
        self._follow_people()
        self._follow_directions()
        self._follow_releases()
        for notice in self.notices:
            if self.rows[notice].notice.last_sequence == self.heard[notice]:
                continue
            events = self.world.events(notice)
            assert [e.sequence for e in events] == list(range(1, len(events) + 1))
            for event in events[self.heard[notice] :]:
                if event.status != "received":
                    self.asks[event.item].hears(event.status.value, event.data.get("reason"))
            self.heard[notice] = len(events)
        for item in self.items():
            assert item.status.value == self.asks[item.id].status, "an item changed and nobody was told"

        self._check_comings_up()

    def _check_comings_up(self) -> None:
        """Whatever is public again must have been wanted up, by the rules, at the moment it came up."""
        acted = {view.case.id for view in self.cases() if self._acted(view)}
        for case in self.acted - acted:
            model = self.case(self.views[case])
            model.acted = True
            others = [{v.case.id for v in self.cases_of(c.item.id)} & acted for c in self.views[case].claims]
            ended = any(ask.status in ("unavailable", "moved") for ask in model.asks)
            assert ended or all(others) or model.want(self.now) == "up", f"it came up, and it is to be down: {model}"
        self.acted = acted

    def _follow_people(self) -> None:
        for decision, (kind, item) in list(self.open_decisions.items()):
            row = self.world.db.find_decision(decision)
            assert row is not None
            if row.state in ("expired", "refused"):
                del self.open_decisions[decision]
            elif row.state == "done":
                del self.open_decisions[decision]
                ask = self.asks[item]
                if kind == "approve":
                    ask.approved = True
                elif ask.status == "review" and not ask.withdrawn:
                    ask.refused = True

    def _follow_directions(self) -> None:
        left = []
        for notice, kind, items in self.open_directions:
            if any(d.applied_at is None for d in self.rows[notice].directions):
                left.append((notice, kind, items))
                continue
            for item in items:
                self._directed_item(self.asks[item], item, kind)
        self.open_directions = left

    def _directed_item(self, ask: Ask, item: str, kind: str) -> None:
        if kind == "withdraw" and not ask.released:
            ask.withdrawn = True
        elif kind == "proceed":
            ask.proceeded = True
        elif kind == "hold":
            self.holds.append((ask, Hold(origin=ask.issuer)))
        elif kind == "release_hold":
            near = [ask, *(self.asks[claim.item.id] for view in self.cases_of(item) for claim in view.claims)]
            for other, hold in self.holds:
                if hold.origin == ask.issuer and any(other is one for one in near):
                    hold.released = True

    def _follow_releases(self) -> None:
        for view in self.cases():
            for decision in view.decisions:
                if decision.kind != "release" or decision.state != "done" or decision.id in self.settled:
                    continue
                self.settled.add(decision.id)
                by_people = decision.actor in ("ann", "bob", "eve")
                needs = 2 if by_people else AGREEMENT[self.agreement]
                refused = [ask for ask in self.case(view).asks if ask.refused]
                assert by_people or not self.case(view).standing(), "released while somebody still asks for it"
                assert refused or len(self.agreed.get(decision.id, set())) >= needs, "up again without agreement"
                for ask in self.case(view).asks:
                    ask.released = True
