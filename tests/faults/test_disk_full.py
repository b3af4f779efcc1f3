"""A disk fills up under a whole receiver: nothing is promised that is not kept, and room alone makes it go on.

One receiver, its database, its vault and its log on small disks of their own. A disk is made smaller and smaller while
notices come, then large again; nobody lends a hand.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from receiver.client.errors import ClientError
from receiver.client.send import Sent
from receiver.demo.clearing import thaw
from receiver.demo.issuer import Job
from tests.e2e.stand import Stand, running_stand
from tests.faults.scale import SEED, TORTURE
from tests.support import need, need_root, wait_until

KIB = 1024
ROOMY_BYTES = 512 * KIB * KIB
DRAIN_SECONDS = 60.0
MOST_NOTICES = 15
SIZES = 30 if TORTURE else 4
ROOM_BYTES = {"database": (16 * KIB, 1024 * KIB), "vault": (4 * KIB, 96 * KIB), "log": (4 * KIB, 12 * KIB)}
"""How much room is left when a round begins: from less than one notice needs to enough for several."""


def sizes_of(disk: str) -> list[int]:
    """Spread over the range, each by chance within its own part of it, in whole pages."""
    dice = random.Random(f"{SEED} {disk}")
    least, most = ROOM_BYTES[disk]
    steps = [least * (most / least) ** ((n + dice.random()) / SIZES) for n in range(SIZES)]
    return [int(step) // 4096 * 4096 or 4096 for step in steps]


ROUNDS = [(disk, size) for disk in ROOM_BYTES for size in sizes_of(disk)]


@dataclass(kw_only=True)
class Disk:
    """A disk of its own under one folder of the receiver."""

    path: Path

    def mount(self) -> None:
        kept = self.path.with_name(f"{self.path.name}.kept")
        self.path.rename(kept)
        self.path.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"mode=0700,size={ROOMY_BYTES}", "tmpfs", self.path], check=False
        )
        need(done.returncode == 0, "the right to mount a tmpfs")
        subprocess.run(["cp", "-a", f"{kept}/.", self.path], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=False)

    def resize(self, size_bytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", self.path], check=True)

    def leave(self, free_bytes: int) -> None:
        now = os.statvfs(self.path)
        self.resize((now.f_blocks - now.f_bfree) * now.f_frsize + free_bytes)

    @property
    def is_full(self) -> bool:
        return os.statvfs(self.path).f_bavail == 0


@dataclass(kw_only=True)
class Full:
    """The receiver and its three disks."""

    stand: Stand
    disks: dict[str, Disk]
    jobs: list[Job] = field(default_factory=list)
    sent: int = 0
    sent_in_round: int = 0

    @property
    def database(self) -> Path:
        return self.stand.places.receiver / "data" / "receiver.db"

    def read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database, timeout=10)) as link:
            return link.execute(query, values).fetchall()

    def squeeze(self, disk: str, free_bytes: int) -> None:
        with suppress(sqlite3.Error):
            # Else what is written goes to the room the log of writes has had before.
            self.read("PRAGMA wal_checkpoint(TRUNCATE)")
        self.disks[disk].leave(free_bytes)
        if disk == "log":
            # Ours says little; others' logs fill the disk it shares with them.
            ballast = self.disks[disk].path / "ballast"
            with suppress(OSError), ballast.open("ab") as file:
                file.write(b"x" * free_bytes)

    def hand_in(self, job: Job) -> Sent | None:
        try:
            return self.stand.client.hand_in(job.body)
        except ClientError:
            return None

    def is_taken(self, job: Job) -> bool:
        sent = self.hand_in(job)
        return sent is not None and sent.accepted

    def is_recorded(self, job: Job) -> bool:
        return bool(self.read("SELECT 1 FROM notice WHERE notice_id = ?", job.notice_id))

    def trouble(self) -> list[tuple[object, ...]]:
        return self.read("SELECT track, last_error FROM work WHERE last_error IS NOT NULL")

    def says_disabled(self, job: Job) -> bool:
        told = any(heard.status == "disabled" for heard in self.stand.callbacks_about(job))
        if told:
            assert (self.stand.origin(job), self.stand.public(job)) == (404, 404), "told as disabled, and served"
        return told

    def assert_seals_are_whole(self) -> None:
        """What the database calls sealed lies in the vault, whole."""
        vault = self.stand.places.vault
        for reference, digest in self.read("SELECT payload_ref, sha256_sealed FROM seal"):
            assert hashlib.sha256((vault / "payloads" / str(reference)).read_bytes()).hexdigest() == digest

    def drained(self) -> bool:
        ((sealed,),) = self.read("SELECT count(*) FROM seal")
        return sealed == self.sent and all(self.says_disabled(job) for job in self.jobs)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    need_root()
    root = tmp_path_factory.mktemp("full") / "stand"
    disks: dict[str, Disk] = {}

    def prepare(stand: Stand) -> None:
        data = stand.places.receiver / "data"
        for name, path in (("database", data), ("vault", data / "vault"), ("log", stand.places.logs)):
            path.mkdir(mode=0o700, exist_ok=True)
            disks[name] = Disk(path=path)
            disks[name].mount()

    print(f"SEED={SEED}")  # noqa: T201  # to run the same sizes again
    try:
        with running_stand(root, prepare=prepare) as stand:
            yield Full(stand=stand, disks=disks)
    finally:
        for disk in reversed(disks.values()):
            disk.unmount()
        thaw(root)


def send_until_full(full: Full, disk: str) -> tuple[list[Job], list[Job]]:
    """Notices that were taken, and notices that were turned away."""
    taken: list[Job] = []
    refused: list[Job] = []
    for _ in range(MOST_NOTICES):
        job = full.stand.new_job()
        sent = full.hand_in(job)
        if sent is not None and sent.accepted:
            assert full.is_recorded(job), "a receipt without a row"
            taken.append(job)
        else:
            refused.append(job)
            assert sent is None or sent.status == 503, sent.lines()
            assert sent is None or any(name.lower() == "retry-after" for name, _ in sent.headers)
        full.sent_in_round = len(taken)
        if tells_why(full, disk, refused):
            return taken, refused
    pytest.fail("the disk never got full")


def tells_why(full: Full, disk: str, refused: list[Job]) -> bool:
    """Whether the fullness shows to those who have to know: senders, or the operator in the case's own words."""
    if disk == "database":
        return len(refused) > 1
    if disk == "vault":
        return any(track == "evidence" and "vault" in str(words) for track, words in full.trouble())
    return full.disks[disk].is_full and full.sent_in_round > 1


@pytest.mark.parametrize(("disk", "free_bytes"), ROUNDS, ids=[f"{disk}-{size // KIB}k" for disk, size in ROUNDS])
def test_full_disk_costs_nothing_but_time(full: Full, disk: str, free_bytes: int) -> None:
    try:
        full.squeeze(disk, free_bytes)
        taken, refused = send_until_full(full, disk)
        for job in taken:
            full.says_disabled(job)
        full.assert_seals_are_whole()
    finally:
        full.disks[disk].resize(ROOMY_BYTES)
    full.jobs = [*taken, *refused]
    full.sent += len(full.jobs)
    for job in refused:
        wait_until(partial(full.is_taken, job), "a receipt", seconds=20)
    wait_until(full.drained, "all is disabled and sealed", seconds=DRAIN_SECONDS)
    full.assert_seals_are_whole()


def test_all_verifies_after_the_fullness(full: Full) -> None:
    full.stand.stop()
    for words in (("vault", "verify"), ("ledger", "checkpoint"), ("ledger", "verify")):
        ended = full.stand.command(*words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert full.read("SELECT count(*) FROM work WHERE state = 'stuck'") == [(0,)]
    assert full.read("PRAGMA integrity_check") == [("ok",)]
