"""A ledger in memory with its sequencer and one copy outside, on a clock that tests move."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.domain.clock import to_micros
from receiver.domain.entry import LedgerNote, make_entry
from receiver.ledger.checkpoint import Signer
from receiver.ledger.copies import FILE_NAME, CopySet, DirectoryCopy
from receiver.ledger.sequencer import Sequencer
from receiver.ledger.verify import LedgerReport, verify_ledger
from tests.doubles.ledger_store import MemoryLedgerStore

START = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0

    def pass_seconds(self, seconds: float) -> None:
        self.moment += dt.timedelta(seconds=seconds)


class Ledger:
    """A store, its sequencer and one copy outside, with short ways to use them."""

    def __init__(self, root: Path, *, key: Ed25519PrivateKey | None = None) -> None:
        self.clock = TestClock()
        self.store = MemoryLedgerStore(self.clock)
        self.signer = Signer("host.example/ledger", key or Ed25519PrivateKey.generate())
        self.folder = root / "outside"
        self.folder.mkdir(exist_ok=True)
        self.copies = CopySet([DirectoryCopy(str(self.folder), name="outside")])
        self.sequencer = Sequencer(self.store, self.signer, self.copies, self.clock)

    @property
    def copy_file(self) -> Path:
        return self.folder / FILE_NAME

    def add(self, count: int) -> None:
        start = len(self.store.entries)
        for number in range(start, start + count):
            note = LedgerNote(kind="resource.blocked", subject=f"case-{number}", actor="w:1", detail={"n": number})
            self.store.insert(make_entry(note, id=f"{number:026d}", at=to_micros(self.clock.now())))
        while self.sequencer.run_once():
            pass

    def sign(self) -> None:
        self.clock.pass_seconds(60)
        self.sequencer.checkpoint()

    def verify(self) -> LedgerReport:
        return verify_ledger(self.store, self.signer.vkey, self.copies)
