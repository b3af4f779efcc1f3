"""A random walk through everything that can happen to notices, content and the outside, with crashes in between."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from receiver.domain.clock import to_micros
from receiver.domain.errors import VaultError
from receiver.domain.outcome import Outcome, Table, Update, Wake
from receiver.domain.rows import CaseView, ItemRow
from receiver.domain.status import FINAL, Act, Exposure, ItemStatus, Track, Want
from receiver.domain.want import standing, want
from receiver.resolution.urls import canonical_url
from receiver.store import open_store
from tests.doubles.crashing import Outage, Tripwire
from tests.doubles.world import HOST, World, make_world

PATHS = ("/public/a.jpg", "/public/b.jpg")
BYSTANDER = "/public/keep.jpg"
EXAMPLES = int(os.environ.get("WALK_EXAMPLES", "20"))
STEPS = int(os.environ.get("WALK_STEPS", "20"))

PHASES = (Phase.generate, Phase.shrink)

paths, issuers, picks = st.sampled_from(PATHS), st.sampled_from(["iwf", "ncmec"]), st.integers(0, 7)


class Walk(RuleBasedStateMachine):
    template: ClassVar[Path]

    @initialize(
        withdrawal=st.sampled_from(["auto", "two_people"]),
        days=st.sampled_from([1, 30]),
        gates=st.booleans(),
    )
    def begin(self, withdrawal: str, days: int, gates: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        shutil.copyfile(self.template, self.folder / "walk.db")
        db = open_store(f"sqlite:///{self.folder / 'walk.db'}", data_key=b"k" * 32, data_dir=self.folder)
        self.world: World = make_world(self.folder, db, on_withdrawal=withdrawal, remove_after_days=days)
        if not gates:
            self.world.routes[0] = replace(self.world.routes[0], gates=())
            self.world.rebuild()
        self.outage = Outage(world=self.world)
        self.wire = Tripwire(world=self.world)
        self.notices: list[str] = []
        self.ended: dict[str, ItemStatus] = {}
        self.uploads = 0
        self.last: dict[str, bytes | None] = {}
        for path in (*PATHS, BYSTANDER):
            self._upload(path)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.db.close()
            shutil.rmtree(self.folder)

    # --- what issuers do

    @rule(
        path=paths,
        issuer=issuers,
        act=st.sampled_from(["remove", "remove", "block_only", "preserve_only"]),
        category=st.sampled_from(["csam", "csam", "npi"]),
        query=st.sampled_from(["", "?v=1"]),
        both=st.booleans(),
    )
    def notify(self, path: str, issuer: str, act: str, category: str, query: str, both: bool) -> None:
        if len(self.notices) < 5:
            urls = [f"https://{HOST}{path}{query}", *([f"https://{HOST}{PATHS[0]}"] if both else [])]
            ends = to_micros(self.world.clock.now()) + 3 * 3_600_000_000 if act == "preserve_only" else None
            handling = {"act": act, "police_reference": "P-1"}
            notice = self.world.notify(*urls, issuer=issuer, category=category, handling=handling, deadline_at=ends)
            self.notices.append(notice)
        self.work()

    @rule(pick=picks, kind=st.sampled_from(["withdraw", "hold", "release_hold", "proceed", "allow_customer_notice"]))
    def direct(self, pick: int, kind: str) -> None:
        if self.notices:
            notice = self.notices[pick % len(self.notices)]
            items = self.world.notice(notice).items
            if kind != "proceed" or all(item.status is ItemStatus.PRESERVED_LIVE for item in items):
                self.world.direct(notice, kind, items=[items[0].item_id] if pick > 5 else None)
        self.work()

    # --- what people at the host do

    @rule(pick=picks, kind=st.sampled_from(["approve", "refuse"]))
    def decide(self, pick: int, kind: str) -> None:
        waiting = [i for i in self._items() if i.status is ItemStatus.REVIEW and i.approved_by is None]
        if waiting and waiting[pick % len(waiting)].withdrawn_at is None:
            self.world.decide(kind, item=waiting[pick % len(waiting)].id)
        self.work()

    @rule()
    def agree_to_releases(self) -> None:
        for asked in self.world.db.list_decisions("asked", limit=10):
            self._approve(asked.id, str(asked.case))
        self.work()

    @rule(pick=picks)
    def release(self, pick: int) -> None:
        down = [c for c in self._cases() if c.exposure.state == Exposure.WATCH and c.evidence.state == "sealed"]
        if down:
            self.world.decide("release", case=down[pick % len(down)].case.id)
        self.work()

    # --- what customers and visitors do

    @rule(path=paths)
    def upload(self, path: str) -> None:
        self._upload(path)
        self.work()

    @rule(path=paths)
    def delete(self, path: str) -> None:
        if f"acme{path}".encode() in self.world.memory.names:
            self.world.memory.delete_as_customer(f"acme{path}".encode())
            self.last[path] = None
            self._clear_caches(path)
        self.work()

    @rule(path=paths)
    def visit(self, path: str) -> None:
        self.world.public_get(f"https://{HOST}{path}")

    # --- what the world does

    @rule(seconds=st.sampled_from([31, 301, 7_200, 90_000, 700_000]))
    def pass_time(self, seconds: int) -> None:
        self.world.later(seconds=seconds)
        self.work()

    @rule(part=st.sampled_from(["store", "gate", "cache"]))
    def go_away(self, part: str) -> None:
        self.outage.parts.add(part)

    @rule()
    def trouble(self) -> None:
        self.world.vault.broken = VaultError("full")
        self.world.mailbox.answer = 503
        self.world.visitor.blind = True

    @rule(calls=st.integers(0, 12))
    def crash_soon(self, calls: int) -> None:
        self.wire.dies_at = len(self.wire.calls) + calls

    @precondition(lambda self: self.notices)
    @rule()
    def calm(self) -> None:
        """Everything answers again, people try again, and some time passes: then all must be as it should."""
        self.outage.parts.clear()
        self.world.vault.broken, self.world.mailbox.answer, self.world.visitor.blind = None, 204, False
        for _ in range(3):
            for case in self._cases():
                if "stuck" in (case.exposure.state, case.evidence.state):
                    self.world.decide("retry", case=case.case.id)
            self.world.later(minutes=20)
            self.work()
        # The rarest look is a week away; and what it finds takes a moment.
        for delta in ({"days": 8}, {"minutes": 20}):
            self.world.later(**delta)
            self.work()
        for case in self._cases():
            self._check_settled(case)
        for notice in self.notices:
            assert not self.world.db.undelivered(notice, 10)

    # --- what must hold

    def work(self) -> None:
        self.wire.work()
        assert self.world.memory.fetch_as_public(f"acme{BYSTANDER}".encode()) == self.last[BYSTANDER]
        assert self.world.public_get(f"https://{HOST}{BYSTANDER}") == self.last[BYSTANDER]
        for notice in self.notices:
            events = self.world.events(notice)
            assert [e.sequence for e in events] == list(range(1, len(events) + 1))
        for item in self._items():
            assert self.ended.setdefault(item.id, item.status) is item.status or item.id not in self.ended
            if item.status not in FINAL:
                del self.ended[item.id]

    def _check_settled(self, case: CaseView) -> None:
        if case.exposure.state == Exposure.OPEN and self._kept_by_another(case):
            return
        now = to_micros(self.world.clock.now())
        wanted = want(case, now=now, keep_up_decide_minutes=30)
        if case.exposure.state == Exposure.STUCK:
            # Something new stands where the old bytes would have to go back.
            assert case.exposure.stuck_from == Exposure.UNBLOCK, case.exposure
            return
        assert case.case.want is wanted
        urls = [url.way["raw"] for url in case.urls]
        watched = case.exposure.due_at is not None
        if wanted is Want.DOWN and watched:
            assert [self.world.public_get(url) for url in urls] == [None] * len(urls)
            heard = {c.item.status for c in standing(case) if c.act is not Act.PRESERVE_ONLY}
            assert heard <= {ItemStatus.DISABLED, ItemStatus.REMOVED, ItemStatus.REVIEW}, heard
        path = canonical_url(case.urls[0].url).path.decode()
        removed = any(act.kind == "remove" for act in case.acts)
        others = [c for c in self._cases() if c.case.id != case.case.id]
        alone = all(path != canonical_url(c.urls[0].url).path.decode() for c in others)
        rests = case.exposure.state in (Exposure.OPEN, Exposure.IDLE) and not removed and alone
        if wanted in (Want.NONE, Want.LEAVE) and rests:
            assert [self.world.public_get(url) for url in urls] == [self.last[path]] * len(urls)

    def _kept_by_another(self, case: CaseView) -> bool:
        """What the store does not hold may still be denied as a URL: that other case speaks for the item then."""
        mine = {claim.item.id for claim in standing(case)}
        others = [c for c in self._cases() if c.case.id != case.case.id and c.exposure.state == Exposure.WATCH]
        return bool(mine) and mine <= {claim.item.id for other in others for claim in other.claims}

    # --- small parts

    def _upload(self, path: str) -> None:
        self.uploads += 1
        self.last[path] = f"field {self.uploads}".encode()
        self.world.put(path, self.last[path])
        self._clear_caches(path)

    def _clear_caches(self, path: str) -> None:
        """As a customer's own site does for any change."""
        for url in (f"{s}://{HOST}{path}{q}" for s in ("http", "https") for q in ("", "?v=1")):
            self.world.cache._kept.pop(url, None)

    def _approve(self, decision: str, case: str) -> None:
        change = Update(table=Table.DECISION, where={"id": decision}, values={"state": "approved", "approvals": ["a"]})
        wake = Wake(track=Track.EXPOSURE, subject=case)
        self.world.commit(Outcome(changes=(change,), bumps=(case,), wakes=(wake,)))

    def _items(self) -> list[ItemRow]:
        return [item for notice in self.notices for item in self.world.notice(notice).items]

    def _cases(self) -> list[CaseView]:
        ids = {c for n in self.notices for cases in self.world.notice(n).claims.values() for c in cases}
        return [self.world.db.load_case(case) for case in sorted(ids)]


def test_random_walk_keeps_every_promise(sqlite_template: Path) -> None:
    Walk.template = sqlite_template
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    how: dict[str, Any] = {"max_examples": EXAMPLES, "stateful_step_count": STEPS, "deadline": None}
    run_state_machine_as_test(Walk, settings=settings(**how, suppress_health_check=checks, phases=PHASES))


