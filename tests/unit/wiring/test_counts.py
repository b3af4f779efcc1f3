"""Counts of several processes add up, and never fall."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

from receiver.wiring.counts import CountsFile, read_counts
from tests.doubles.disk_calls import disk_calls

TAKEN = {"what": "notice", "repeated": "false"}


def total(folder: Path) -> float:
    return sum(count.value for count in read_counts(folder))


def test_nothing_was_counted_before_anybody_ran(tmp_path: Path) -> None:
    assert read_counts(tmp_path) == ()


def test_processes_add_up(tmp_path: Path) -> None:
    one, two = CountsFile(tmp_path), CountsFile(tmp_path)
    one.add("requests_taken", TAKEN)
    two.add("requests_taken", TAKEN)
    two.add("requests_refused", {"what": "notice", "status": "401", "reason": "signature"})
    counts = {count.name: count for count in read_counts(tmp_path)}
    assert (counts["requests_taken"].value, counts["requests_taken"].labels) == (2, TAKEN)
    assert counts["requests_refused"].value == 1
    one.close()
    two.close()


def test_dead_processes_are_taken_over(tmp_path: Path) -> None:
    living, dead = CountsFile(tmp_path), CountsFile(tmp_path)
    for file in (living, dead):
        file.add("requests_taken", TAKEN)
    dead.close()
    assert total(tmp_path) == 2
    new = CountsFile(tmp_path)
    assert total(tmp_path) == 2
    assert len(list((tmp_path / "run" / "figures").glob("web-*"))) == 2
    living.close()
    new.close()


def test_a_killed_process_keeps_its_counts(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        CountsFile(tmp_path).add("requests_taken", TAKEN)
        os._exit(9)
    os.waitpid(child, 0)
    assert total(tmp_path) == 1


def test_a_half_written_file_counts_nothing(tmp_path: Path) -> None:
    file = CountsFile(tmp_path)
    file.add("requests_taken", TAKEN)
    body = json.dumps([["requests_taken", [], 5]]).encode()
    (tmp_path / "run" / "figures" / "web-x").write_bytes(b"%08x %s" % (zlib.crc32(body) ^ 1, body))
    assert total(tmp_path) == 1
    file.close()


def test_late_count_touches_no_other_file(tmp_path: Path) -> None:
    """The descriptor's number is given to whatever is opened next."""
    file = CountsFile(tmp_path)
    file.close()
    other = tmp_path / "other"
    with other.open("wb") as stream:
        stream.write(b"something else")
        stream.flush()
        file.add("requests_taken", TAKEN)
    assert other.read_bytes() == b"something else"


def test_a_full_disk_costs_no_request(tmp_path: Path) -> None:
    file = CountsFile(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with disk_calls(full, "pwrite"):
        file.add("requests_taken", TAKEN)
    file.add("requests_taken", TAKEN)
    assert total(tmp_path) == 2
    file.close()
