"""Several workers, each in a network of its own, over one PostgreSQL and one outside; and the faults they meet."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text

from adapters.memory.cache import MemoryCache
from adapters.memory.gate import MemoryGate
from adapters.memory.storage import MemoryStorage
from receiver.domain.clock import SystemClock
from receiver.domain.policy import Policy
from receiver.store import SqlStore, open_store, upgrade
from tests.doubles.world import HOST, World
from tests.doubles.world_parts import Mailbox, MemoryVault
from tests.faults.lease_net import Network, NetworkedPostgres, network
from tests.faults.lease_worker import ISSUER, Settings
from tests.faults.outside_server import Call, ask, connect
from tests.support import wait_until

ROOT = Path(__file__).parents[2]
START_SECONDS = 40.0
Held = tuple[str, str, int]
"""Track, subject and epoch of a row."""


@dataclass(kw_only=True)
class Site:
    """One database with its outside and its workers."""

    folder: Path
    net: Network
    settings: Settings
    database_url: str
    store: SqlStore
    outside: Any
    server: subprocess.Popen[str]
    shifts: tuple[int, ...] = ()
    workers: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        # Only its ways of recording notices are used; nothing of it works.
        self.world = World(
            db=self.store,
            clock=SystemClock(),  # type: ignore[arg-type]  # it is only asked for the time
            store=MemoryStorage(),
            gate=MemoryGate(),
            cache=MemoryCache(),
            vault=MemoryVault(),
            mailbox=Mailbox(),
            policy=Policy(),
            routes=[],
        )
        self.engine = create_engine(self.database_url, poolclass=NullPool)

    # --- workers

    def start(self, number: int) -> None:
        settings = replace(self.settings, slot=f"w{number}", shift_seconds=self.shifts[number] if self.shifts else 0)
        command = self.net.python(number, "-m", "tests.faults.lease_worker", json.dumps(asdict(settings)))
        with (self.folder / f"w{number}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, text=True, env=_environment())
        self.workers[number] = process

    def started(self, number: int) -> bool:
        assert self.workers[number].poll() is None, self.log(number)
        return "started" in self.log(number)

    def log(self, number: int) -> str:
        return (self.folder / f"w{number}.log").read_text(errors="replace")

    def stacks(self, number: int) -> str:
        """The end of its log, with where every thread stands now."""
        self.workers[number].send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        return self.log(number)[-12_000:]

    def kill(self, number: int) -> None:
        self.workers[number].kill()
        self.workers[number].wait()

    def freeze(self, number: int) -> None:
        """Returns when every thread stands: on a busy machine the signal takes its time, and they go on meanwhile."""
        process = self.workers[number]
        assert process.poll() is None, f"w{number} ended by itself: {process.returncode}\n{self.log(number)[-3000:]}"
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: _stands_still(process.pid), "every thread is stopped", seconds=START_SECONDS)

    def thaw(self, number: int) -> None:
        self.workers[number].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process in self.workers.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.outside.close()
        self.server.kill()
        self.server.wait()
        assert self.server.stdout is not None
        self.server.stdout.close()
        self.store.close()

    # --- what is to be done, and what came of it

    def ask(self, name: str, *args: Any) -> Any:
        return ask(self.outside, name, *args)

    def notify(self, name: str) -> str:
        """A new object and a notice about it; the notice's row id."""
        self.ask("put", f"/public/{name}.jpg".encode(), name.encode())
        return self.notify_again(name)

    def notify_again(self, name: str) -> str:
        return self.world.notify(self.url(name), issuer=ISSUER)

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.connect() as conn:
            return list(conn.execute(text(sql), values))

    def held_by(self, number: int) -> list[Held]:
        found = self.rows("SELECT track, subject, epoch FROM work WHERE owner LIKE :who", who=f"n:w{number}:%")
        return [(track, subject, epoch) for track, subject, epoch in found]

    def calls(self) -> list[Call]:
        calls, _ = self.ask("seen")
        return list(calls)

    def url(self, name: str) -> str:
        return f"https://{HOST}/public/{name}.jpg"

    def public(self, name: str) -> bytes | None:
        found: bytes | None = self.ask("public_get", self.url(name))
        return found

    def at_rest(self, notices: int) -> bool:
        """Everything was told and sealed, and nobody holds a row. `notices` have one item each."""
        ((told, waiting, unsealed, held),) = self.rows(
            """SELECT (SELECT count(*) FROM item WHERE status IN ('disabled', 'restored')),
                      (SELECT count(*) FROM event WHERE delivered_at IS NULL),
                      (SELECT count(*) FROM work WHERE track = 'evidence' AND state <> 'sealed'),
                      (SELECT count(*) FROM work WHERE owner IS NOT NULL OR due_at < :now)""",
            now=time.time_ns() // 1000,
        )
        return bool(told >= notices and waiting == unsealed == held == 0)

    def is_numbered(self) -> bool:
        """A leader that was frozen or cut off keeps its lock for a while, so this may come later than the rest."""
        return self.rows("SELECT count(*) FROM entry WHERE seq IS NULL") == [(0,)]

    def wait_until_at_rest(self, notices: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self.at_rest(notices):
            if time.monotonic() > deadline:
                raise AssertionError(f"not at rest after {seconds:g} s: {self.unfinished()}")
            time.sleep(0.3)

    def unfinished(self) -> list[Any]:
        return self.rows(
            """SELECT track, state, count(*), min(last_error), min(owner) FROM work
               WHERE owner IS NOT NULL OR state NOT IN ('resolved', 'watch', 'sealed') OR due_at < 0
               GROUP BY track, state"""
        ) + self.rows("SELECT status, count(*) FROM item GROUP BY status")


def _stands_still(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] in "Tt" for task in tasks)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(kw_only=True)
class Ground:
    """What several sites share: the network and the server."""

    folder: Path
    net: Network
    server: NetworkedPostgres

    @contextmanager
    def site(self, name: str, *, unfenced: bool = False, shifts: tuple[int, ...] = ()) -> Iterator[Site]:
        folder = self.folder / name
        folder.mkdir()
        self.server.run(f"CREATE DATABASE {name}")
        upgrade(self.server.url(name))
        settings = Settings(
            socket=str(folder / "outside.sock"),
            url=self.server.network_url(name),
            data_dir=str(folder),
            data_key=os.urandom(32).hex(),
            slot="",
            unfenced=unfenced,
        )
        # Not as `-m`: what it answers with must have the same names here and there.
        words = f"from tests.faults.outside_server import main; main({settings.socket!r})"
        command = [sys.executable, "-c", words]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=_environment())
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "listening"
        url = self.server.url(name)
        made = Site(
            folder=folder,
            net=self.net,
            settings=settings,
            database_url=url.replace("postgresql://", "postgresql+psycopg://", 1),
            store=open_store(url, data_key=bytes.fromhex(settings.data_key), data_dir=folder),
            outside=connect(settings.socket),
            server=server,
            shifts=shifts,
        )
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def ground(workers: int) -> Iterator[Ground]:
    with (
        network(workers) as net,
        tempfile.TemporaryDirectory(prefix="lease-", ignore_cleanup_errors=True) as name,
    ):
        folder = Path(name)
        # The server's own user must be able to enter it.
        folder.chmod(0o755)
        server = NetworkedPostgres(folder / "data", net.address)
        try:
            yield Ground(folder=folder, net=net, server=server)
        finally:
            server.close()


def start_all(site: Site, numbers: Iterable[int]) -> None:
    started = tuple(numbers)
    for number in started:
        site.start(number)
    wait_until(lambda: all(site.started(n) for n in started), "the workers start", seconds=START_SECONDS)
