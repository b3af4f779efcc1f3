"""A clock that was set back: what fell due by the wrong time would stand still until the right time has caught up.

A machine that starts with a clock a day ahead accepts notices, and is set right a minute later. Rows fall due by the
database's clock, so those notices would wait for a day, and so would the sweeps. Waking a row too early costs nothing:
each step looks for itself whether there is something to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from receiver.domain.errors import ReceiverError
from receiver.domain.outcome import CommitResult, Outcome, Page, Wake
from receiver.domain.status import Track

LOOK_SECONDS = 5.0
STEP_MICROS = 60_000_000
"""As for clocks that stand apart: less is the time service's everyday work."""
MARGIN_MICROS = 7_200_000_000
"""What was tried again by the wrong time fell due so much later at most; looks at what is down may come late."""
AT_ONCE = 500

log = structlog.get_logger(__name__)


class Times(Protocol):
    def now(self) -> int: ...
    def last_sweep_at(self) -> int | None:
        """The newest time that any sweep noted, by the clock as it then was."""

    def due_within(self, until_at: int) -> Sequence[tuple[Track, str]]:
        """Rows that fall due between now and then."""


class SteppedClock:
    """Compares the database's clock with one that nobody can set. `stepped` hears of each step back."""

    def __init__(
        self,
        times: Times,
        submit: Callable[[Outcome], CommitResult],
        stepped: Callable[[], None],
        *,
        node: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._times, self._submit, self._stepped, self._node = times, submit, stepped, node
        self._monotonic = monotonic
        self._expected: tuple[int, float] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stepped-clock", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except ReceiverError as exc:
                log.warning("clock.unread", error=str(exc))
            if self._ending.wait(LOOK_SECONDS):
                return

    def look(self) -> None:
        """Wake what a step back would leave asleep. What fails is done at the next look."""
        then = self._monotonic()
        now = self._times.now()
        if self._expected is None:
            # The last process on this database may have lived by the wrong time.
            expected = self._times.last_sweep_at() or now
        else:
            known, at = self._expected
            expected = known + int((then - at) * 1_000_000)
        if expected - now > STEP_MICROS:
            self._wake(expected - now, now)
        self._expected = (now, then)

    def _wake(self, back_micros: int, now: int) -> None:
        log.error("clock.stepped", seconds=back_micros // 1_000_000)
        rows = self._times.due_within(now + back_micros + MARGIN_MICROS)
        for first in range(0, len(rows), AT_ONCE):
            wakes = tuple(Wake(track=track, subject=subject) for track, subject in rows[first : first + AT_ONCE])
            self._written(Outcome(wakes=wakes))
        words = (
            f"the clock was set back by {back_micros // 1_000_000} s; what was to be done by the wrong time was woken"
        )
        self._written(Outcome(pages=(Page(kind="clock.wrong", subject=f"{self._node} step", text=words),)))
        self._stepped()

    def _written(self, outcome: Outcome) -> None:
        error = self._submit(outcome).error
        if error is not None:
            raise error
