"""The main job, watched from all sides: one notice in, until everything that must come of it was seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from receiver.client.errors import ClientError
from receiver.client.send import IssuerClient
from receiver.demo import timeline
from receiver.demo.commands import ask_command
from receiver.demo.errors import DemoError
from receiver.demo.evidence import holds_sealed
from receiver.demo.issuer import Desk, Job
from receiver.demo.places import Facts, Places
from receiver.demo.site import get
from receiver.demo.timeline import Timeline

LOOK_SECONDS = 0.005
POLL_SECONDS = 0.03
DISABLED = "disabled"
WORDS = {
    timeline.RECEIPT: "a receipt whose signature holds",
    timeline.ORIGIN_GONE: "404 at the web server",
    timeline.FRONT_GONE: "404 through the cache",
    timeline.SEALED: "evidence that a custodian can open",
    timeline.CALLED_BACK: "a signed callback that says disabled",
    timeline.CUSTODY: "a verified vault",
    timeline.LEDGER: "a verified ledger with its second copy",
}


@dataclass(frozen=True, kw_only=True)
class Parties:
    """Who takes part in a run."""

    places: Places
    facts: Facts
    desk: Desk
    client: IssuerClient
    line: Timeline


class Chain:
    def __init__(self, parties: Parties, job: Job, *, deadline: float) -> None:
        """`deadline` is on the monotonic clock."""
        self._parties, self._job, self._deadline = parties, job, deadline
        self._stop = threading.Event()

    def run(self) -> list[str]:
        """What did not happen in time, in words; nothing is left out when all went well."""
        self._show_public_side()
        self._parties.line.begin("notice sent, signed by the issuer")
        watchers = [threading.Thread(target=watch, daemon=True) for watch in self._watches()]
        for watcher in watchers:
            watcher.start()
        try:
            self._send()
            for watcher in watchers:
                watcher.join(max(0.0, self._deadline - time.monotonic()))
            self._verify()
        finally:
            self._stop.set()
            for watcher in watchers:
                watcher.join()
        missing = self._parties.line.missing(self._wanted())
        if not missing:
            self._parties.desk.done(self._job)
        return [WORDS[name] for name in missing]

    def _wanted(self) -> Sequence[str]:
        cached = self._parties.facts.varnish
        return [name for name in WORDS if cached or name != timeline.FRONT_GONE]

    def _show_public_side(self) -> None:
        facts, line = self._parties.facts, self._parties.line
        status, _ = get(facts.front_port, self._job.path)
        if self._job.is_continued:
            line.say(f"  going on with notice {self._job.notice_id} of an earlier run; its URL answers {status}")
            return
        if status != 200:
            logs = self._parties.places.logs
            raise DemoError(f"the demo's own site answers {status} for a new picture; its log lies in {logs}")
        # Once more, so that a cache in front holds it.
        get(facts.front_port, self._job.path)
        through = "Varnish" if facts.varnish else "the site"
        line.say(f"  200 through {through}: a generated colour field, notice {self._job.notice_id} is about it")

    def _send(self) -> None:
        try:
            sent = self._parties.client.hand_in(self._job.body)
        except ClientError as error:
            raise DemoError(f"the notice was not handed in: {error}") from error
        if not sent.accepted:
            raise DemoError("the receiver refused the notice: " + "; ".join(sent.lines()))
        self._parties.line.step(timeline.RECEIPT, f"{sent.status} with a signed receipt, signature verified")

    def _watches(self) -> list[Callable[[], None]]:
        found = [lambda: self._watch_gone(self._parties.facts.origin_port, timeline.ORIGIN_GONE, "the web server")]
        if self._parties.facts.varnish:
            found.append(lambda: self._watch_gone(self._parties.facts.front_port, timeline.FRONT_GONE, "Varnish"))
        return [*found, self._watch_sealed, self._watch_callback]

    def _until(self, holds: Callable[[], bool], pause_seconds: float) -> bool:
        while not self._stop.is_set() and time.monotonic() < self._deadline:
            if holds():
                return True
            self._stop.wait(pause_seconds)
        return False

    def _watch_gone(self, port: int, name: str, who: str) -> None:
        if self._until(lambda: get(port, self._job.path)[0] == 404, LOOK_SECONDS):
            self._parties.line.step(name, f"404 at {who}")

    def _watch_sealed(self) -> None:
        if self._until(lambda: holds_sealed(self._parties.places, self._job.sha256), POLL_SECONDS):
            words = "evidence sealed; opened with the demo custodian's identity, its hash is the picture's"
            self._parties.line.step(timeline.SEALED, words)

    def _watch_callback(self) -> None:
        if self._until(lambda: self._parties.desk.has_heard(self._job, DISABLED), LOOK_SECONDS):
            self._parties.line.step(timeline.CALLED_BACK, "callback `disabled` received, signature verified")

    def _verify(self) -> None:
        """The seal's row and the ledger, by the commands an auditor would type."""
        parties = self._parties
        if parties.line.missing([timeline.SEALED, timeline.CALLED_BACK]):
            return
        config, line = parties.places.config, parties.line
        vault = ask_command("vault", "verify", config=config, may_end=(0, 1))
        if vault["seals"] >= 1 and not vault["problems"]:
            line.step(timeline.CUSTODY, f"vault verified: {vault['seals']} seal(s), nothing changed or gone")
        signed = ask_command("ledger", "checkpoint", config=config, may_end=(0, 1))
        ledger = ask_command("ledger", "verify", config=config, may_end=(0, 1))
        for problem in (*vault["problems"], *signed["problems"], *ledger["problems"]):
            line.say(f"  problem: {problem}", style="red")
        if ledger["ok"] and signed["copies"] and not signed["problems"]:
            words = f"ledger verified: {ledger['size']} entries under a signed checkpoint, copied to a second place"
            line.step(timeline.LEDGER, words)
