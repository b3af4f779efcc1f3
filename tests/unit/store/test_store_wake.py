"""Wake-up calls over sockets: cheap, never waited for, and tidy."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from receiver.store.lead import FileLead
from receiver.store.wake import SocketListener, call_sockets


def test_call_reaches_every_listener(tmp_path: Path) -> None:
    listeners = [SocketListener(tmp_path / "run") for _ in range(3)]
    call_sockets(tmp_path / "run")
    assert [listener.wait(1.0) for listener in listeners] == [True, True, True]
    assert not listeners[0].wait(0.0)
    for listener in listeners:
        listener.close()
        listener.close()
    assert list((tmp_path / "run").iterdir()) == []


def test_long_folder_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 30) / ("name-" * 30)
    listener = SocketListener(folder)
    call_sockets(folder)
    assert listener.wait(1.0)
    listener.close()


def test_many_calls_are_one(tmp_path: Path) -> None:
    listener = SocketListener(tmp_path)
    for _ in range(2000):
        call_sockets(tmp_path)
    assert listener.wait(1.0)
    assert not listener.wait(0.01)
    listener.close()


def test_dead_socket_is_cleared_away(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "1-dead.wake"))
    (tmp_path / "other.sock").touch()
    call_sockets(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.sock"]


def test_odd_file_does_not_stop_calls(tmp_path: Path) -> None:
    listener = SocketListener(tmp_path)
    (tmp_path / "0-folder.wake").mkdir()
    call_sockets(tmp_path)
    assert listener.wait(1.0)
    listener.close()


def test_nobody_to_call_is_fine(tmp_path: Path) -> None:
    call_sockets(tmp_path / "run")


def test_close_ends_waiting_thread(tmp_path: Path) -> None:
    listener = SocketListener(tmp_path)
    thread = threading.Thread(target=listener.wait, args=(30.0,))
    thread.start()
    listener.close()
    thread.join(5.0)
    assert not thread.is_alive()
    assert not listener.wait(0.0)


def test_file_lead_is_exclusive(tmp_path: Path) -> None:
    path = tmp_path / "db.sweeps.lock"
    lead = FileLead.take(path)
    assert lead is not None
    assert FileLead.take(path) is None
    with lead:
        assert lead.held()
    assert not lead.held()
    again = FileLead.take(path)
    assert again is not None
    again.release()
    again.release()
    assert os.stat(path).st_mode & 0o777 == 0o600
