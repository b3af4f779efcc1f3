"""Runs containers with `crun`, as engines do: from an image, by the runtime standard's `config.json`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.compose import Mount
from tests.image.seccomp import engine_profile
from tests.support import need_program, wait_until

START_SECONDS = 120.0
END_SECONDS = 120.0
TMPFS = ["nosuid", "noexec", "nodev"]
PLACES = (
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*TMPFS, "mode=1777"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*TMPFS, "ro"]},
)
# In mounts of its own, which end with it: the image's layer under one for this container, and control groups in the
# one form that crun reads, where a machine still has both.
INSIDE = """set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
while umount -R -l /sys/fs/cgroup 2>/dev/null; do :; done
mount -t cgroup2 none /sys/fs/cgroup
shift 2
exec "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One container: what compose.yaml and the image say about it, put together."""

    name: str
    words: Sequence[str]
    uid: int
    gid: int
    environment: Mapping[str, str]
    workdir: str
    capabilities: frozenset[str]
    mounts: Sequence[Mount]
    """With paths of the host as sources; outer folders before what lies in them."""
    tmpfs: Sequence[str]
    has_network: bool

    def config(self, root: Path) -> dict[str, Any]:
        held = sorted(f"CAP_{name}" for name in self.capabilities)
        # As engines give them: a process that is not root starts without any.
        own = held if self.uid == 0 else []
        kinds = ["pid", "ipc", "uts", "mount", *([] if self.has_network else ["network"])]
        return {
            "ociVersion": "1.0.0",
            "process": {
                "args": list(self.words),
                "cwd": self.workdir,
                "env": [f"{name}={value}" for name, value in self.environment.items()],
                "user": {"uid": self.uid, "gid": self.gid},
                "noNewPrivileges": True,
                "capabilities": {"bounding": held, "effective": own, "permitted": own},
            },
            "root": {"path": str(root), "readonly": True},
            "hostname": self.name,
            "mounts": [
                *PLACES,
                *({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": TMPFS} for path in self.tmpfs),
                *(_bind(mount) for mount in self.mounts),
            ],
            "linux": {"namespaces": [{"type": kind} for kind in kinds], "seccomp": engine_profile(held)},
        }


class Container:
    """A running one. `end` asks it to go, as an engine's `stop` does."""

    def __init__(self, runtime: Runtime, run: Run, folder: Path) -> None:
        self.name, self.folder = run.name, folder
        self._id = folder.name
        self._runtime, self._user = runtime, f"{run.uid}:{run.gid}"
        self._pid_file = folder / "pid"
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                runtime.argv(folder, "run", "--pid-file", str(self._pid_file), "--bundle", str(folder), self._id),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of its first process, as this machine counts."""
        return int(self._pid_file.read_text(encoding="ascii"))

    def wait_for_log(self, words: str) -> None:
        wait_until(lambda: words in self.log or not self.is_running, f"{self.name}: {words}", seconds=START_SECONDS)
        assert words in self.log, self.log

    def wait(self) -> int:
        return self._process.wait(END_SECONDS)

    def exec(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A further process inside it, as health checks are run."""
        return subprocess.run(
            self._runtime.argv(None, "exec", "--user", self._user, self._id, *words),
            capture_output=True, text=True, timeout=END_SECONDS, check=False,
        )  # fmt: skip

    def end(self) -> int:
        if self.is_running:
            self._send(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._send(signal.SIGKILL)
            return self.wait()

    def _send(self, number: signal.Signals) -> None:
        try:
            os.kill(self.pid, number)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            self._process.send_signal(number)


class Runtime:
    """`tree` is the image's whole file system, which no container changes."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self._folder, self._tree = folder, tree
        self._count = 0
        folder.mkdir()

    def start(self, run: Run) -> Container:
        self._count += 1
        folder = self._folder / f"{self._count}-{run.name}"
        for name in ("upper", "work", "root"):
            (folder / name).mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(run.config(folder / "root")), encoding="utf-8")
        return Container(self, run, folder)

    def argv(self, folder: Path | None, *words: str) -> list[str]:
        crun = [need_program("crun"), "--cgroup-manager=disabled", "--root", str(self._folder / "state"), *words]
        inside = INSIDE if folder else INSIDE.replace(INSIDE.splitlines()[1] + "\n", "")
        places = [str(self._tree), str(folder)]
        return [
            need_program("unshare"), "--mount", "--propagation", "private", "sh", "-c", inside, "sh", *places, *crun,
        ]  # fmt: skip


def _bind(mount: Mount) -> dict[str, Any]:
    mode = "ro" if mount.read_only else "rw"
    return {"destination": mount.target, "type": "bind", "source": mount.source, "options": ["rbind", mode]}
