from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.nginx.workers import MAX_LISTINGS, children_of, listed_children, title_of, workers_of

CHILDREN = 5
GONE = 2**22 + 1
"""Above the highest number that a kernel gives to a process."""
SCRIPT = """
import os, signal, sys
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        signal.pause()
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family() -> Iterator[tuple[int, set[int]]]:
    with family_of("worker process") as found:
        yield found


@contextmanager
def family_of(title: str) -> Iterator[tuple[int, set[int]]]:
    """A process and its children, by what every process of this machine says of its parent."""
    words = [sys.executable, "-c", SCRIPT, str(CHILDREN), title]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        children = {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == number}
        try:
            yield number, children
        finally:
            for child in children:
                os.kill(child, 9)
            parent.communicate()


def parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def test_every_child_is_found(family: tuple[int, set[int]]) -> None:
    parent, children = family
    assert len(children) == CHILDREN
    assert set(children_of(parent)) == children


def test_kernel_without_list_is_served(family: tuple[int, set[int]]) -> None:
    parent, children = family
    assert set(children_of(parent, lambda _: None)) == children


def test_list_is_believed_when_repeated(family: tuple[int, set[int]]) -> None:
    parent, children = family
    whole = listed_children(parent)
    assert whole is not None
    hidden = iter([whole[1:], whole[:1], whole, whole])
    assert set(children_of(parent, lambda _: next(hidden))) == children


def test_restless_list_is_not_believed(family: tuple[int, set[int]]) -> None:
    parent, children = family
    counted = iter(range(MAX_LISTINGS + 1))
    assert set(children_of(parent, lambda _: [next(counted)])) == children


def test_workers_are_known_by_title(family: tuple[int, set[int]]) -> None:
    parent, children = family
    assert b"worker process" in title_of(parent)
    assert workers_of(parent) == children
    with family_of("worker process is shutting down") as (parent, children):
        assert set(children_of(parent)) == children
        assert workers_of(parent) == set()
    with family_of("cache manager process") as (parent, _):
        assert workers_of(parent) == set()


def test_process_gone_has_nothing() -> None:
    assert title_of(GONE) == b""
    assert children_of(GONE) == []
    assert children_of(GONE, lambda _: None) == []
