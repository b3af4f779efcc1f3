"""Checking entries in several processes: one that runs alone needs as long as its one core takes for all of them.

Reader k of n checks the segments k, k + n, k + 2n … and writes what each gave to its standard output. Whoever started
them takes the segments in their order and builds the one tree, so the joins between readers are checked as any other
place is. What a reader says is believed, as our own code is; that it says nothing more is never taken for an end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import IO, Any, cast

from receiver.domain.tree import HASH_BYTES
from receiver.ledger.errors import LedgerReaderError
from receiver.ledger.leaves import SEGMENT_ENTRIES, EntryStore, Leaves, ReadLeaves, read_segment, segments_of

MAX_READERS = 4
WORTH_ENTRIES = 250_000
"""Below it, starting the readers takes about as long as they save."""

_PIPE_BYTES = 1 << 20
"""What Linux gives anybody who asks."""
_NO_VERDICT = "there is no verdict; see what it said, and type it again"

Command = Callable[[int, int, int], Sequence[str]]
"""`command(k, n, size)`: what to run as reader k of n."""


def readers_for(size: int, cores: int) -> int:
    """How many are worth starting; one means this process alone."""
    return min(MAX_READERS, cores) if size >= WORTH_ENTRIES else 1


def read_apart(command: Command, count: int) -> ReadLeaves:
    """Let `count` processes read. Raises LedgerReaderError when one does not go on to its end."""

    def read(size: int) -> Generator[Leaves, None, None]:
        with contextlib.ExitStack() as running:
            readers = [running.enter_context(_started(command(k, count, size))) for k in range(count)]
            for number in range(segments_of(size)):
                yield _take(readers[number % count], min(SEGMENT_ENTRIES, size - number * SEGMENT_ENTRIES))
            for reader in readers:
                _end(reader)

    return read


def write_leaves(store: EntryStore, out: IO[bytes], *, k: int, n: int, size: int) -> None:
    """A reader's side. Ends with BrokenPipeError when nobody takes what it reads any more."""
    for number in range(k, segments_of(size), n):
        leaves = read_segment(store, number, size)
        told = {
            "first": leaves.first,
            "problems": leaves.problems,
            "details_checked": leaves.details_checked,
            "details_erased": leaves.details_erased,
        }
        out.write(json.dumps(told).encode() + b"\n" + b"".join(leaves.hashes))
        out.flush()


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=_environment()) as reader:
        # Room for a dozen segments, so that one that gets less of its core does not hold up the others.
        with contextlib.suppress(OSError):
            fcntl.fcntl(_output(reader), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            yield reader
        finally:
            # One that has ended is not touched; one that is not wanted any more has nothing to lose.
            reader.kill()


def _environment() -> dict[str, str]:
    """A reader loads the very code that runs here, and never a file of that name in the folder where this was typed."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONSAFEPATH": "1"}


def _take(reader: subprocess.Popen[bytes], count: int) -> Leaves:
    out = _output(reader)
    line, data = out.readline(), out.read(count * HASH_BYTES)
    if not line.endswith(b"\n") or len(data) != count * HASH_BYTES:
        raise _ended(reader)
    hashes = tuple([data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)])
    try:
        told: dict[str, Any] = json.loads(line)
        told["problems"] = tuple(told["problems"])
        return Leaves(hashes=hashes, **told)
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerReaderError(f"a process that checks entries says something else; {_NO_VERDICT}") from error


def _end(reader: subprocess.Popen[bytes]) -> None:
    if _output(reader).read(1):
        raise LedgerReaderError(f"a process that checks entries says more than it was asked; {_NO_VERDICT}")
    if reader.wait() != 0:
        raise _ended(reader)


def _output(reader: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", reader.stdout)


def _ended(reader: subprocess.Popen[bytes]) -> LedgerReaderError:
    """Its output is at an end, and so it is, or will be in a moment."""
    return LedgerReaderError(f"a process that checks entries ended with {reader.wait()}; {_NO_VERDICT}")
