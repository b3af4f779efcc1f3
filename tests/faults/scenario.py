"""The scenarios, each a script of what issuers and customers do.

A script can be played again over what a crash left: it does what is not done yet, and then waits for the end.
"""

from __future__ import annotations

import datetime as dt
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from receiver.domain.clock import from_micros, rfc3339
from receiver.domain.errors import ReceiverError
from receiver.domain.status import Evidence, Exposure, ItemStatus
from receiver.steps.receive import receive_notice
from receiver.steps.receive_direction import receive_direction
from tests.doubles.web_side import direction_json, notice_json, to_bytes
from tests.faults import fsck
from tests.faults.scenario_host import HOST, LONG_AGO_NS, PICTURE, Places, SteeredClock, noise
from tests.faults.scenario_parts import Chain, GaveUp, Keys
from tests.faults.scenario_people import retry_what_is_stuck

AT_REST, WAITS, BROKE = 0, 3, 4
ROUNDS = 8
BACK_OFF_MINUTES = 15
NEW_PICTURE = "new picture"


class WaitsError(Exception):
    """Nothing is due and the end is not reached: the work waits for a later time."""


@dataclass(kw_only=True)
class Play:
    """One process's go at a script. `patient`: time passes until the end is reached."""

    chain: Chain
    patient: bool
    heard: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.heard = {tuple(line) for line in self.chain.places.said()}

    def hand_in(self, notice_id: str, **members: Any) -> None:
        """Send until it was answered; the answer is known before anything else happens."""
        if ("ACK", notice_id) in self.heard:
            return
        now = rfc3339(self.chain.clock.now())
        url = f"https://{HOST}/{PICTURE.removeprefix('acme/')}"
        values = {"notice_id": notice_id, "issuer": "hotline", "issued_at": now, "urls": [url], **members}
        body = self._first_body(notice_id, to_bytes(notice_json(**values)))
        request = self.chain.keys.issuer.request("POST", "/v1/notices", body, now=self.chain.clock.now())
        receive_notice(request, self.chain.web)
        self.chain.places.say(f"ACK {notice_id}")

    def direct(self, notice_id: str, direction_id: str, kind: str) -> None:
        if ("ACK", direction_id) in self.heard:
            return
        now = rfc3339(self.chain.clock.now())
        values = {"direction_id": direction_id, "issuer": "hotline", "issued_at": now, "direction": kind}
        body = self._first_body(direction_id, to_bytes(direction_json(**values)))
        path = f"/v1/notices/{notice_id}/directions"
        self.chain.places.say(f"SENT {direction_id}")
        request = self.chain.keys.issuer.request("POST", path, body, now=self.chain.clock.now())
        receive_direction(request, notice_id, self.chain.web)
        self.chain.places.say(f"ACK {direction_id}")

    def _first_body(self, name: str, body: bytes) -> bytes:
        """An issuer that sends again sends the same bytes."""
        kept = self.chain.places.peer / name
        if not kept.exists():
            file = os.open(kept, os.O_WRONLY | os.O_CREAT, 0o600)
            os.writev(file, [body])
            os.close(file)
        return kept.read_bytes()

    def upload(self) -> None:
        """The customer puts something new under the name; it is on the disk when that is over."""
        if any(line[0] == "UPLOADED" for line in self.heard):
            return
        path = self.chain.places.docroot / PICTURE
        self.chain.places.say("UPLOADING")
        path.unlink(missing_ok=True)
        # Made and written by calls that no fault is put into: this is not the receiver's doing.
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.writev(file, [noise(NEW_PICTURE)])
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
        inode = os.fstat(file).st_ino
        os.close(file)
        self.chain.places.say(f"UPLOADED {inode}")

    def later(self, **delta: float) -> None:
        self.chain.later(**delta)

    def rest(self, notice_id: str, status: ItemStatus, *, heard: tuple[str, ...] = ()) -> None:
        """Work until the issuer was told this, and no work is left. Raises WaitsError."""
        for _ in range(ROUNDS if self.patient else 1):
            self.chain.run()
            self.chain.number()
            if self._reached(notice_id, status, heard):
                self.chain.places.say(f"REST {status.value}")
                return
            if self.patient:
                retry_what_is_stuck(self.chain)
                self.later(minutes=BACK_OFF_MINUTES)
        raise WaitsError

    def _reached(self, notice_id: str, status: ItemStatus, heard: tuple[str, ...]) -> bool:
        store = self.chain.store
        row = store.find_notice("hotline", notice_id)
        if row is None or store.undelivered(row.id, 1):
            return False
        view = store.load_notice(row.id)
        if any(item.status is not status for item in view.items):
            return False
        if not set(heard) <= {event.status.value for event in store.events_of(row.id)}:
            return False
        cases = [store.load_case(case) for cases in view.claims.values() for case in cases]
        return all(self._still(case) for case in cases)

    def _still(self, view: Any) -> bool:
        moving = [act for act in view.acts if act.ended_at is None]
        sealing = view.evidence.state not in {Evidence.SEALED, Evidence.VAULTED, Evidence.WAIT}
        return not moving and not sealing and view.exposure.state in {Exposure.WATCH, Exposure.OPEN, Exposure.IDLE}


def take_down(play: Play) -> None:
    play.hand_in("N-1")
    play.rest("N-1", ItemStatus.DISABLED)


def withdraw(play: Play) -> None:
    if ("SENT", "D-1") not in play.heard:
        take_down(play)
    play.direct("N-1", "D-1", "withdraw")
    play.rest("N-1", ItemStatus.RESTORED)


def preserve(play: Play) -> None:
    if ("SENT", "D-1") not in play.heard:
        deadline = rfc3339(play.chain.clock.now() + dt.timedelta(hours=70))
        play.hand_in("N-1", handling={"act": "preserve_only", "police_reference": "P-1"}, deadline=deadline)
        play.rest("N-1", ItemStatus.PRESERVED_LIVE)
    play.direct("N-1", "D-1", "proceed")
    play.rest("N-1", ItemStatus.DISABLED)


def upload_again(play: Play) -> None:
    if ("UPLOADING",) not in play.heard:
        take_down(play)
    play.upload()
    play.later(minutes=1)
    play.rest("N-1", ItemStatus.DISABLED, heard=("reappeared",))


def remove(play: Play) -> None:
    if ("REST", "disabled") not in play.heard:
        take_down(play)
    if ("REST", "removed") not in play.heard:
        play.later(days=31)
        play.rest("N-1", ItemStatus.REMOVED)


SCRIPTS: dict[str, Callable[[Play], None]] = {
    "take_down": take_down,
    "withdraw": withdraw,
    "preserve": preserve,
    "upload_again": upload_again,
    "remove": remove,
    "first_start": take_down,
}
FRESH = ("first_start",)
"""Begin before the receiver was ever started here; the others on a host where it runs."""


def prepare(places: Places, keys: Keys, script: str) -> None:
    places.lay_out()
    if script not in FRESH:
        chain = Chain(places, keys, SteeredClock(dt.datetime.now(dt.UTC)))
        chain.number()
        chain.gate.close()
        chain.store.close()


def play(places: Places, keys: Keys, script: str, *, patient: bool) -> int:
    """Play it to its end; the answer is the exit code."""
    clock = SteeredClock(_time_of(places))
    if patient:
        clock.at += dt.timedelta(hours=1)
    try:
        chain = Chain(places, keys, clock)
        SCRIPTS[script](Play(chain=chain, patient=patient))
        chain.gate.close()
        chain.store.close()
    except (WaitsError, GaveUp):
        return WAITS
    except (ReceiverError, OSError, ValueError):
        # The process says what is wrong and ends; the supervisor starts it again.
        traceback.print_exc()
        return BROKE
    return AT_REST


def _time_of(places: Places) -> dt.datetime:
    said = [int(line[1]) for line in places.said() if line[0] == "CLOCK"]
    if said:
        return from_micros(said[-1])
    return dt.datetime.now(dt.UTC)


def check(places: Places, keys: Keys, script: str, *, done: bool) -> dict[str, Any]:
    """What a crash left is looked at, played to its end, and looked at again. `done`: it said it was at its end."""
    before = fsck.after_the_crash(places, keys)
    if done:
        before += [f"a false end: {problem}" for problem in fsck.at_rest(places, keys, script)]
    code = play(places, keys, script, patient=True)
    found = [*before, *(fsck.at_rest(places, keys, script) if code == AT_REST else [f"resume ended with {code}"])]
    return {"problems": found}
