"""The supervisor over small real children."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from receiver.config import load_config
from receiver.keyfiles import init_folder
from receiver.processes.children import ChildSpec, Failures
from receiver.processes.serve import child_of, children_of, needs_agent
from tests.support import wait_until

PARENT = textwrap.dedent(
    """
    import sys
    from receiver.processes.children import ChildSpec
    from receiver.processes.serve import Supervisor
    specs = [ChildSpec(name=f"c{n}", argv=[sys.executable, "-c", code]) for n, code in enumerate(sys.argv[2:])]
    supervisor = Supervisor(specs, out=sys.stdout.buffer, drain_seconds=float(sys.argv[1]), first_pause_seconds=0.02)
    raise SystemExit(supervisor.run())
    """
)
STAYS = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
DRAINS = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('drained', flush=True), sys.exit(0)))\n"
    "signal.signal(signal.SIGHUP, lambda *_: print('reloaded', flush=True))\n"
    "print('pid', os.getpid(), flush=True)\n"
    "while True: time.sleep(0.05)\n"
)
STUBBORN = (
    "import os, signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('pid', os.getpid(), flush=True)\n"
    "time.sleep(60)\n"
)


class Started:
    """A supervisor as a process of its own, writing into a file that the test reads."""

    def __init__(self, folder: Path, *codes: str, drain_seconds: float = 5.0) -> None:
        self.log = folder / "out"
        with self.log.open("wb") as out:
            argv = [sys.executable, "-c", PARENT, str(drain_seconds), *codes]
            self.process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)

    def text(self) -> str:
        return self.log.read_text()

    def pids(self) -> list[int]:
        return [int(found) for found in re.findall(r"pid (\d+)", self.text())]

    def wait_for(self, count: int) -> list[int]:
        wait_until(lambda: len(self.pids()) >= count, f"{count} children started")
        return self.pids()

    def end(self) -> int:
        return self.process.wait(timeout=15)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_lines_carry_names(tmp_path: Path) -> None:
    started = Started(tmp_path, DRAINS, STAYS)
    started.wait_for(2)
    started.process.terminate()
    assert started.end() == 0
    assert re.search(r"^c0    \| pid \d+$", started.text(), re.MULTILINE)
    assert re.search(r"^c1    \| pid \d+$", started.text(), re.MULTILINE)
    assert "c0    | drained" in started.text()


def test_killed_child_starts_again(tmp_path: Path) -> None:
    started = Started(tmp_path, STAYS)
    (first,) = started.wait_for(1)
    os.kill(first, signal.SIGKILL)
    assert started.wait_for(2)[1] != first
    assert "c0 ended with -9; starting it again in 0.02 s" in started.text()
    started.process.terminate()
    assert started.end() == 0


def test_five_failures_end_everything(tmp_path: Path) -> None:
    started = Started(tmp_path, "raise SystemExit('no such setting')", DRAINS)
    assert started.end() == 1
    text = started.text()
    assert text.count("c0    | no such setting") == 5
    assert "c0 failed 5 times in a minute" in text
    assert "c1    | drained" in text


def test_hangup_reaches_the_children(tmp_path: Path) -> None:
    started = Started(tmp_path, DRAINS)
    started.wait_for(1)
    started.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded" in started.text(), "the child heard SIGHUP")
    started.process.terminate()
    assert started.end() == 0


def test_stubborn_child_is_killed(tmp_path: Path) -> None:
    started = Started(tmp_path, STUBBORN, drain_seconds=0.5)
    (pid,) = started.wait_for(1)
    started.process.terminate()
    assert started.end() == 0
    assert not _is_alive(pid)


def test_children_die_with_their_parent(tmp_path: Path) -> None:
    started = Started(tmp_path, STAYS, STUBBORN)
    pids = started.wait_for(2)
    started.process.kill()
    started.end()
    wait_until(lambda: not any(_is_alive(pid) for pid in pids), "all children ended")


def test_last_words_without_line_end_are_kept(tmp_path: Path) -> None:
    started = Started(tmp_path, "import sys; sys.stdout.write('half a line'); sys.exit(3)")
    assert started.end() == 1
    assert "c0    | half a line\n" in started.text()


def test_failures_outside_the_window_are_forgotten() -> None:
    failures = Failures()
    assert [failures.record(float(now)) for now in (0, 1, 2, 3)] == [0.5, 1.0, 2.0, 4.0]
    assert failures.record(61.5) == 2.0


def test_a_child_is_the_same_command() -> None:
    spec = child_of(Path("/etc/takedown/config.toml"), "worker")
    assert spec == ChildSpec(
        name="worker", argv=[sys.executable, "-m", "receiver", "--config", "/etc/takedown/config.toml", "worker"]
    )


def test_each_worker_has_its_own_slot(tmp_path: Path) -> None:
    made = init_folder(tmp_path / "r", origin="https://notices.host.example")
    file = made.folder / "config.toml"
    assert [child.name for child in children_of(load_config(file, {}))] == ["web", "admin", "worker"]
    file.write_text(file.read_text() + "[worker]\nprocesses = 3\n")
    *_, first, second, third = children_of(load_config(file, {}))
    assert [child.name for child in (first, second, third)] == ["worker", "worker-1", "worker-2"]
    assert first.argv[-1] == "worker"
    assert [child.argv[-3:] for child in (second, third)] == [
        ["worker", "--slot", "worker-1"],
        ["worker", "--slot", "worker-2"],
    ]


def test_agent_runs_where_something_needs_it(tmp_path: Path) -> None:
    made = init_folder(tmp_path / "r", origin="https://notices.host.example")
    file = made.folder / "config.toml"
    assert not needs_agent(load_config(file, {}))
    text = file.read_text() + '[gates.nginx]\ntype = "nginx"\nagent = "unix:run/agent.sock"\n'
    file.write_text(text)
    assert needs_agent(load_config(file, {}))
    (made.folder / "agent.toml").unlink()
    assert not needs_agent(load_config(file, {}))
