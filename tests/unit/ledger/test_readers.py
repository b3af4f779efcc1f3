"""Entries read in several processes give what they give in one, and a process that fails is never a pass."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from receiver.domain.errors import StoreUnavailableError
from receiver.ledger.errors import LedgerReaderError
from receiver.ledger.leaves import SEGMENT_ENTRIES, read_here
from receiver.ledger.readers import MAX_READERS, WORTH_ENTRIES, read_apart, readers_for, write_leaves
from receiver.ledger.verify import LedgerReport, verify_ledger
from tests.doubles.ledger import Ledger

ENTRIES = 2 * SEGMENT_ENTRIES + 80


@pytest.fixture
def long(ledger: Ledger) -> Ledger:
    """Three segments, the last of them short."""
    ledger.add(ENTRIES)
    ledger.sign()
    return ledger


def written(ledger: Ledger, k: int, n: int, size: int = ENTRIES) -> bytes:
    out = io.BytesIO()
    write_leaves(ledger.store, out, k=k, n=n, size=size)
    return out.getvalue()


def said(folder: Path, k: int, data: bytes, then: str = "exit 0") -> Sequence[str]:
    """A process that says this and then ends."""
    path = folder / f"reader-{k}"
    path.write_bytes(data)
    return ["sh", "-c", f"cat {shlex.quote(str(path))}; {then}"]


def verified(ledger: Ledger, folder: Path, count: int, sizes: list[int] | None = None) -> LedgerReport:
    def command(k: int, n: int, size: int) -> Sequence[str]:
        if sizes is not None:
            sizes.append(size)
        return said(folder, k, written(ledger, k, n, size))

    return verify_ledger(ledger.store, ledger.signer.vkey, ledger.copies, read=read_apart(command, count))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_sound_ledger_is_read_apart(long: Ledger, tmp_path: Path, count: int) -> None:
    report = verified(long, tmp_path, count)
    assert report == long.verify()
    assert (report.ok, report.size, report.details_checked) == (True, ENTRIES, ENTRIES)


def tamper(ledger: Ledger) -> None:
    store = ledger.store
    last = SEGMENT_ENTRIES - 1
    store.entries[f"{3:026d}"]["kind"] = "other"
    store.entries[f"{last:026d}"]["seq"], store.entries[f"{last + 1:026d}"]["seq"] = last + 1, last
    store.numbers.update({last: f"{last + 1:026d}", last + 1: f"{last:026d}"})
    store.unreadable.add(f"{SEGMENT_ENTRIES + 9:026d}")
    del store.numbers[2 * SEGMENT_ENTRIES]
    store.details[f"{2 * SEGMENT_ENTRIES + 5:026d}"]["actor"] = "nobody"
    store.erase_detail(f"{2 * SEGMENT_ENTRIES + 6:026d}")
    store.tiles[0, 12] = bytes(32) + store.tiles[0, 12][32:]
    store.tiles[1, 0] = store.tiles[1, 0][:32]


@pytest.mark.parametrize("count", [2, 3])
def test_findings_are_the_same_apart(long: Ledger, tmp_path: Path, count: int) -> None:
    tamper(long)
    report = verified(long, tmp_path, count)
    assert report == long.verify()
    assert len(report.problems) > 8
    assert report.details_erased == 1


def test_entries_added_meanwhile_are_left_out(long: Ledger, tmp_path: Path) -> None:
    """Readers start after the size was read, and must not go beyond it."""

    def command(k: int, n: int, size: int) -> Sequence[str]:
        long.add(40)
        long.sign()
        return said(tmp_path, k, written(long, k, n, size))

    report = verify_ledger(long.store, long.signer.vkey, long.copies, read=read_apart(command, 2))
    assert (report.problems, report.size) == ((), ENTRIES)


Spoil = Callable[[bytes], bytes]
SPOILT: dict[str, Spoil] = {
    "nothing": lambda _data: b"",
    "cut in a line": lambda data: data[:20],
    "cut in a hash": lambda data: data[:-1],
    "cut between segments": lambda data: data[: data.index(b"\n") + 1 + 32 * SEGMENT_ENTRIES],
    "more than asked": lambda data: data + b"\n",
    "no object": lambda data: b"[]" + data[data.index(b"\n") :],
    "no JSON": lambda data: b"warning: " + data,
    "another word": lambda data: data.replace(b'"first"', b'"fisrt"', 1),
    "another place": lambda data: data.replace(b'"first": 0', b'"first": 1', 1),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_reader_that_says_otherwise_is_no_verdict(long: Ledger, tmp_path: Path, spoil: Spoil) -> None:
    def command(k: int, n: int, size: int) -> Sequence[str]:
        data = written(long, k, n, size)
        return said(tmp_path, k, data if k else spoil(data))

    with pytest.raises(LedgerReaderError, match="no verdict"):
        verify_ledger(long.store, long.signer.vkey, long.copies, read=read_apart(command, 2))


@pytest.mark.parametrize("then", ["exit 4", "kill -9 $$"])
@pytest.mark.parametrize("which", [0, 1])
def test_reader_that_dies_is_no_verdict(long: Ledger, tmp_path: Path, which: int, then: str) -> None:
    """Also one that had said everything before."""

    def command(k: int, n: int, size: int) -> Sequence[str]:
        return said(tmp_path, k, written(long, k, n, size), then if k == which else "exit 0")

    with pytest.raises(StoreUnavailableError, match=r"ended with (4|-9); there is no verdict"):
        verify_ledger(long.store, long.signer.vkey, long.copies, read=read_apart(command, 2))


def test_segments_in_another_order_are_no_verdict(long: Ledger, tmp_path: Path) -> None:
    def command(k: int, n: int, size: int) -> Sequence[str]:
        return said(tmp_path, k, written(long, n - 1 - k, n, size))

    with pytest.raises(LedgerReaderError):
        verify_ledger(long.store, long.signer.vkey, long.copies, read=read_apart(command, 3))


def test_too_few_segments_are_no_verdict(long: Ledger) -> None:
    def read(size: int):  # type: ignore[no-untyped-def]
        yield from read_here(long.store)(size - 100)

    with pytest.raises(LedgerReaderError, match=f"{ENTRIES - 100} of {ENTRIES} entries"):
        verify_ledger(long.store, long.signer.vkey, long.copies, read=read)


def test_other_readers_end_with_the_first(long: Ledger, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    quoted = shlex.quote(str(pid_file))

    def command(k: int, n: int, size: int) -> Sequence[str]:
        endless = f"echo $$ > {quoted}; exec sleep 600"
        return ["sh", "-c", endless if k else f"until [ -s {quoted} ]; do sleep 0.01; done; exit 3"]

    with pytest.raises(LedgerReaderError, match="ended with 3"):
        verify_ledger(long.store, long.signer.vkey, long.copies, read=read_apart(command, 2))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_only_large_ledgers_are_read_apart() -> None:
    assert [readers_for(WORTH_ENTRIES - 1, cores) for cores in (1, 2, 64)] == [1, 1, 1]
    assert [readers_for(WORTH_ENTRIES, cores) for cores in (1, 2, 64)] == [1, 2, MAX_READERS]
