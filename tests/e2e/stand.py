"""A whole receiver with its site and issuer, set up as the demo does it, whose processes a test may kill."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from receiver.client.errors import ClientError
from receiver.client.listen import Callback, Listener
from receiver.client.send import Sent
from receiver.demo.children import Child, wait_until_free
from receiver.demo.commands import command_line, environment
from receiver.demo.issuer import Desk, Job, make_client
from receiver.demo.places import MARK, Places
from receiver.demo.setup import set_up
from receiver.demo.site import Site, get
from tests.support import need_program, wait_until

READY_SECONDS = 60.0
DONE_SECONDS = 30.0
PARTS = ("agent", "web", "admin", "worker")


class Stand:
    """`start` and `kill` are the receiver's; site and issuer stay up all the time."""

    def __init__(self, root: Path) -> None:
        self.places = Places(root=root)
        root.mkdir(mode=0o700)
        (root / MARK).touch()
        self.places.make()
        self.facts = set_up(self.places)
        self.desk = Desk(self.places)
        self.client = make_client(self.places, self.facts)
        self.site = Site(self.places, self.facts)
        keys = (self.places.receiver / "keys" / "public.jwks.json").read_bytes()
        self.listener: Listener = self.desk.listen(self.facts, keys, lambda _: None)
        self.receiver: Child | None = None

    # --- the receiver's processes

    def start(self) -> None:
        wait_until_free([self.facts.public_port, self.facts.admin_port])
        self.receiver = Child(
            "serve",
            command_line("serve", config=self.places.config),
            log=self.places.logs / "receiver.log",
            pid_file=self.places.run / "receiver.pid",
            orphan_signal=signal.SIGKILL,
        )
        self.wait_until_ready()

    def ensure_started(self) -> None:
        if self.receiver is None or not self.receiver.is_running:
            self.start()

    def wait_until_ready(self) -> None:
        started = ("agent.started", "worker.started")
        wait_until(lambda: self.says(*started), "agent and worker start", seconds=READY_SECONDS)
        wait_until(self.is_ready, "the public side answers", seconds=READY_SECONDS)

    def is_ready(self) -> bool:
        return get(self.facts.public_port, "/readyz")[0] == 200

    def says(self, *words: str) -> bool:
        """In the log since the last start."""
        assert self.receiver is not None
        said = self.receiver.said()
        return all(word in said for word in words)

    def part_says(self, part: str, word: str) -> bool:
        assert self.receiver is not None
        lines = self.receiver.said().splitlines()
        return any(line.split(" ", 1)[0] == part and word in line for line in lines)

    @property
    def pid(self) -> int:
        return int((self.places.run / "receiver.pid").read_text())

    def part(self, name: str) -> int:
        """The process id of one of the four."""
        for pid in children_of(self.pid):
            if command_of(pid)[-1:] == [name]:
                return pid
        raise AssertionError(f"{name} does not run")

    def kill_all(self) -> None:
        """`kill -9` of everything of the receiver's at one moment."""
        assert self.receiver is not None
        doomed = [self.pid, *descendants_of(self.pid)]
        for pid in doomed:
            kill(pid)
        self.receiver.stop()
        wait_until(lambda: not any(runs(pid) for pid in doomed), "all processes are gone")

    def stop(self) -> int:
        assert self.receiver is not None
        return self.receiver.stop()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = command_line(*words, config=self.places.config)
        return subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=60, check=False)

    # --- the issuer's side

    def new_job(self) -> Job:
        """A new picture, held by the cache, and a notice about it."""
        job = self.desk.next_job()
        self.desk.done(job)
        for _ in range(2):
            assert self.public(job) == 200
        return job

    def public(self, job: Job) -> int:
        return get(self.facts.front_port, job.path)[0]

    def origin(self, job: Job) -> int:
        return get(self.facts.origin_port, job.path)[0]

    def try_to_send(self, job: Job) -> Sent | None:
        """None where the receiver died meanwhile; an issuer then sends again."""
        try:
            return self.client.hand_in(job.body)
        except ClientError:
            return None

    def send(self, job: Job) -> None:
        """As issuers do: again, until there is a receipt."""

        def accepted() -> bool:
            sent = self.try_to_send(job)
            assert sent is None or sent.accepted or sent.status == 503, sent.lines()
            return sent is not None and sent.accepted

        wait_until(accepted, "a receipt", seconds=READY_SECONDS)

    def callbacks_about(self, job: Job) -> list[Callback]:
        return [callback for callback in self.listener.callbacks if callback.notice_id == job.notice_id]

    def wait_until_disabled(self, job: Job) -> None:
        def disabled(callbacks: tuple[Callback, ...]) -> bool:
            return any(found.notice_id == job.notice_id and found.status == "disabled" for found in callbacks)

        assert self.listener.wait_for(disabled, DONE_SECONDS), (
            f"no `disabled` within {DONE_SECONDS:g} s; faults {self.listener.faults}; "
            f"the log ends:\n{(self.places.logs / 'receiver.log').read_text()[-3000:]}"
        )
        assert (self.origin(job), self.public(job)) == (404, 404)


@contextmanager
def running_stand(root: Path, *, prepare: Callable[[Stand], object] = lambda _: None) -> Iterator[Stand]:
    """`prepare` sees it set up and not yet started."""
    for name in ("nginx", "varnishd"):
        need_program(name)
    stand = Stand(root)
    try:
        prepare(stand)
        stand.start()
        stand.site.start()
        stand.listener.start()
        yield stand
    finally:
        if stand.receiver is not None:
            stand.receiver.stop()
        stand.site.stop()
        stand.listener.close()


def children_of(pid: int) -> list[int]:
    return [child for child in _all_pids() if _parent(child) == pid]


def descendants_of(pid: int) -> list[int]:
    found = children_of(pid)
    return found + [below for child in found for below in descendants_of(child)]


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def runs(pid: int) -> bool:
    """A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
