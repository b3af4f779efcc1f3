"""The sequencer's thread: one leader over all machines numbers entries as they come and signs hourly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from receiver.domain.entry import BATCH_ENTRIES
from receiver.domain.errors import LedgerConflictError, ReceiverError, StoreUnavailableError

ROUND_SECONDS = 0.2
LEAD_RETRY_SECONDS = 2.0
ALARM_RETRY_SECONDS = 60.0
LEAD = "sequencer"

log = structlog.get_logger(__name__)


class Lead(Protocol):
    """A leader's lock; the others get None until it is released or its holder dies."""

    def held(self) -> bool: ...
    def release(self) -> None: ...


class Signed(Protocol):
    @property
    def problems(self) -> tuple[str, ...]:
        """Copies that failed or lost something, in words for a page."""


class Numbers(Protocol):
    """The part of the sequencer that this thread drives."""

    def run_once(self) -> int: ...
    def checkpoint_due(self) -> bool: ...
    def checkpoint(self) -> Signed: ...


class Numbering:
    """Runs in every worker; does something in one of them."""

    def __init__(
        self, sequencer: Numbers, lead: Callable[[str], Lead | None], page: Callable[[str, str], None]
    ) -> None:
        self._sequencer, self._lead, self._page = sequencer, lead, page
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                lead = self._lead(LEAD)
            except ReceiverError as exc:
                log.warning("ledger.waits", error=str(exc))
                lead = None
            if lead is None:
                self._stopping.wait(LEAD_RETRY_SECONDS)
                continue
            try:
                self._number(lead)
            finally:
                lead.release()
            # Whatever ended it (a rival, a database that is away) needs a moment.
            self._stopping.wait(ROUND_SECONDS)

    def _number(self, lead: Lead) -> None:
        while not self._stopping.is_set() and lead.held():
            try:
                if self._sequencer.run_once() >= BATCH_ENTRIES:
                    continue
                if self._sequencer.checkpoint_due():
                    self._checkpoint()
            except (LedgerConflictError, StoreUnavailableError):
                # Acts go on: an entry lies in its act's own transaction and waits for its number.
                return
            except ReceiverError as exc:
                # Our own history contradicts itself or a copy: nothing is signed until a person has looked.
                log.error("ledger.alarm", error=str(exc))  # noqa: TRY400 - the words say it, a trace would not
                self._call("ledger.alarm", str(exc))
                self._stopping.wait(ALARM_RETRY_SECONDS)
            self._stopping.wait(ROUND_SECONDS)

    def _checkpoint(self) -> None:
        for problem in self._sequencer.checkpoint().problems:
            log.error("ledger.copy", error=problem)
            self._call("ledger.copy", problem)

    def _call(self, kind: str, words: str) -> None:
        try:
            self._page(kind, words)
        except ReceiverError as exc:
            # The alarm is raised again in the next round; this thread must live to do it.
            log.warning("page.unwritten", kind=kind, error=str(exc))
