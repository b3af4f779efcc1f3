"""The demonstration from its first line to its last: set up, start, show, stay or end, stop in order."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from receiver.demo import staff
from receiver.demo.chain import DISABLED, Chain, Parties
from receiver.demo.children import Child, wait_until_free
from receiver.demo.commands import command_line
from receiver.demo.errors import DemoError
from receiver.demo.issuer import Desk, make_client
from receiver.demo.places import Facts, Places, claimed, known_facts, mark_ended
from receiver.demo.setup import set_up
from receiver.demo.site import Site, get_status, words_on
from receiver.demo.timeline import Timeline

LIMIT_SECONDS = 60.0
WATCH_SECONDS = 0.5
STARTED = ("agent.started", "worker.started")


def show(root: Path, *, once: bool, keep: bool) -> int:
    """Exit code: 0 when everything happened. Raises DemoError where it cannot even begin."""
    line, deadline = Timeline(), time.monotonic() + LIMIT_SECONDS
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with claimed(root, keep=keep) as places, ExitStack() as stack:
        (places.run / "demo.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
        stack.callback((places.run / "demo.pid").unlink)
        facts = _prepared(places, line)
        parties, receiver, site = _start(places, facts, line, stack)
        missing = Chain(parties, parties.desk.next_job(), deadline=deadline).run()
        for words in missing:
            line.say(f"  missing: {words}, within {LIMIT_SECONDS:g} s; the logs lie in {places.logs}", style="red")
        mark_ended(places)
        if not once:
            (places.root / "ended").unlink()
            staff.introduce(places, facts, line)
            _stay(receiver, site, line)
            mark_ended(places)
    line.say("Not everything happened." if missing else "Everything happened, and everything has ended.", style="bold")
    return 1 if missing else 0


def _prepared(places: Places, line: Timeline) -> Facts:
    facts = known_facts(places)
    if facts is None:
        line.say(f"Setting up in {places.root}: keys, demo custodians, an issuer, a site", style="bold")
        facts = set_up(places)
    else:
        line.say(f"Going on in {places.root}", style="bold")
    for words in words_on(facts):
        line.say(f"  {words}")
    ports = {facts.public_port, facts.admin_port, facts.origin_port, facts.front_port, facts.callback_port}
    wait_until_free(sorted(ports))
    return facts


def _start(places: Places, facts: Facts, line: Timeline, stack: ExitStack) -> tuple[Parties, Child, Site]:
    """What is stopped last is put on the stack first: the receiver drains while the issuer still listens."""
    desk = Desk(places)
    keys = (places.receiver / "keys" / "public.jwks.json").read_bytes()
    listener = desk.listen(facts, keys, lambda callback: _tell_other(callback.status, line))
    stack.callback(listener.close)
    site = Site(places, facts)
    stack.callback(site.stop)
    receiver = Child(
        "takedown-receiver serve",
        command_line("serve", config=places.config),
        log=places.logs / "receiver.log",
        pid_file=places.run / "receiver.pid",
        orphan_signal=signal.SIGKILL,
    )
    stack.callback(receiver.stop)
    stack.callback(_end_calmly, line)
    receiver.wait_for(lambda: _is_up(receiver, facts), "was not ready")
    site.start()
    listener.start()
    line.say(f"  receiver: ready at {facts.origin_url}")
    client = make_client(places, facts)
    return Parties(places=places, facts=facts, desk=desk, client=client, line=line), receiver, site


def _is_up(receiver: Child, facts: Facts) -> bool:
    said = receiver.said()
    return all(word in said for word in STARTED) and get_status(facts.public_port, "/readyz") == 200


def _tell_other(status: str, line: Timeline) -> None:
    if status != DISABLED:
        line.say(f"  callback `{status}` received")


def _end_calmly(line: Timeline) -> None:
    """From here everything ends in order, however often Ctrl-C is pressed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    line.say("Stopping: receiver, site, issuer", style="bold")


def _stay(receiver: Child, site: Site, line: Timeline) -> None:
    try:
        while True:
            failed = site.failed() or (None if receiver.is_running else receiver.name)
            if failed:
                raise DemoError(f"{failed} ended by itself; its log says why")
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        line.say("")
