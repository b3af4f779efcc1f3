"""The filesystem adapter passes the kit, directly and through the agent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.agent.client import AgentStorage
from adapters.agent.server import serve
from adapters.agent.settings import Adapters, AgentSettings
from adapters.conformance.environment import StorageEnvironment, Writer
from adapters.conformance.late import LateStorageConformance
from adapters.conformance.storage import StorageConformance
from adapters.contract import BlockReceipt, Ref, StorageAdapter
from adapters.filesystem.adapter import FilesystemAdapter

OURS, OTHERS = b"acme", b"other"


class ReadWatch:
    """Counts, by the kernel's own notices, how often anybody read from the files it was given."""

    IN_ACCESS = 0x1

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._reads = 0

    def add(self, path: bytes) -> None:
        assert self._libc.inotify_add_watch(self._fd, path, self.IN_ACCESS) >= 0

    def reads(self) -> int:
        with contextlib.suppress(BlockingIOError):
            while notices := os.read(self._fd, 65536):
                self._reads += len(notices) // 16  # each notice has 16 bytes here, since it names no file
        return self._reads

    def close(self) -> None:
        os.close(self._fd)


class FilesystemEnvironment(StorageEnvironment):
    """A docroot with two customers; the public gets what a web server would find there."""

    def __init__(self, base: Path) -> None:
        self.root, self.quarantine = base / "www", base / "held"
        self.watch = ReadWatch()
        for customer in (OURS, OTHERS):
            (self.root / customer.decode()).mkdir(parents=True)

    def path(self, ref: Ref) -> bytes:
        return os.path.join(os.fsencode(self.root), ref.locator)

    def make(self) -> FilesystemAdapter | AgentStorage:
        return FilesystemAdapter("www", str(self.root), str(self.quarantine))

    def put(self, name: bytes, body: bytes) -> Ref:
        ref = Ref(locator=OURS + b"/" + name, scope=OURS)
        with open(self.path(ref), "wb") as file:
            file.write(body)
        self.watch.add(self.path(ref))
        return ref

    def public_get(self, ref: Ref) -> tuple[int, bytes | None]:
        try:
            with open(self.path(ref), "rb") as file:
                return 200, file.read()
        except FileNotFoundError:
            return 404, None

    def customer_write(self, ref: Ref, body: bytes) -> None:
        with open(self.path(ref), "wb") as file:
            file.write(body)

    def customer_delete(self, ref: Ref) -> None:
        os.unlink(self.path(ref))

    def add_other_name(self, ref: Ref, in_scope: bool) -> Ref:
        scope = OURS if in_scope else OTHERS
        other = Ref(locator=scope + b"/other.jpg", scope=scope)
        os.link(self.path(ref), self.path(other))
        return other

    def put_not_plain(self, name: bytes) -> Ref:
        ref = Ref(locator=OURS + b"/" + name, scope=OURS)
        os.mkfifo(self.path(ref))
        return ref

    def open_writer(self, ref: Ref) -> Writer:
        file = open(self.path(ref), "r+b", buffering=0)  # noqa: SIM115  # it outlives the block on purpose

        def late(body: bytes) -> None:
            with file:
                file.write(body)

        return late

    def reopen_door(self, ref: Ref, receipt: BlockReceipt) -> bool:
        held = self.quarantine / receipt.op_id / "0"
        subprocess.run(["chattr", "-i", held], check=True)
        os.link(held, self.path(ref))
        return True

    def body_bytes_read(self) -> int:
        """Reads, not bytes; none is none in both."""
        return self.watch.reads()

    def restart(self, adapter: StorageAdapter) -> StorageAdapter:
        return self.make()

    def thaw(self) -> None:
        """Take every flag off, so that the test's own folder can be deleted."""
        self.watch.close()
        subprocess.run(["chattr", "-R", "-f", "-ia", self.root, self.quarantine], check=False)
        shutil.rmtree(self.root)
        shutil.rmtree(self.quarantine, ignore_errors=True)


class TestFilesystem(LateStorageConformance, StorageConformance):
    required = frozenset({"block", "freeze", "exact_unblock", "strong_pin", "other_names", "remove"})
    not_restored = frozenset({"ctime_ns"})

    @pytest.fixture
    def environment(self, tmp_path: Path) -> Iterator[FilesystemEnvironment]:
        made = FilesystemEnvironment(tmp_path)
        yield made
        made.thaw()

    @pytest.fixture
    def adapter(self, environment: FilesystemEnvironment) -> AgentStorage | FilesystemAdapter:
        return environment.make()

    def test_reads_are_counted_here(
        self,
        adapter: AgentStorage | FilesystemAdapter,
        environment: AgentEnvironment | FilesystemEnvironment,
        stored: Callable[[bytes, bytes], Ref],
    ) -> None:
        """Were they not, `test_block_reads_no_body` would say nothing."""
        ref = stored(b"a.jpg", b"a colour field")
        with adapter.open(ref, adapter.observe(ref).pins[0]) as reader:
            reader.read()
        assert environment.body_bytes_read() > 0


class AgentEnvironment(FilesystemEnvironment):
    """The same store behind a running agent."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.socket = str(base / "run" / "agent.sock")
        self.stop, ready = threading.Event(), threading.Event()
        settings = AgentSettings(socket=self.socket, max_acts_per_minute=10_000)
        adapters = Adapters(storage={"www": super().make()}, gate={}, cache={})
        self.thread = threading.Thread(
            target=serve, args=(settings, self.stop), kwargs={"adapters": adapters, "on_ready": ready.set}
        )
        self.thread.start()
        assert ready.wait(10)
        self.clients: list[AgentStorage] = []

    def make(self) -> AgentStorage:
        self.clients.append(AgentStorage("www", self.socket))
        return self.clients[-1]

    def thaw(self) -> None:
        for client in self.clients:
            client.close()
        self.stop.set()
        self.thread.join()
        super().thaw()


class TestFilesystemThroughAgent(TestFilesystem):
    @pytest.fixture
    def environment(self, tmp_path: Path) -> Iterator[AgentEnvironment]:
        made = AgentEnvironment(tmp_path)
        yield made
        made.thaw()
