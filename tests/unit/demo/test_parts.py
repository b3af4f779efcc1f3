"""The demo's own parts: pictures, folders, clearing away, and what it remembers over a crash."""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from pathlib import Path

import pytest

from receiver.client.listen import Callback
from receiver.demo.clearing import FS_IOC_SETFLAGS, IMMUTABLE, clear_folder, thaw
from receiver.demo.errors import DemoError
from receiver.demo.issuer import Desk
from receiver.demo.picture import HEIGHT, SIGNATURE, WIDTH, colour_field
from receiver.demo.places import Facts, Places, claimed, known_facts, mark_ended

FACTS = Facts(
    public_port=1, admin_port=2, origin_port=3, front_port=4, callback_port=5, nginx=True, varnish=True
)  # fmt: skip


def test_colour_field_is_a_png() -> None:
    data = colour_field(7)
    assert data.startswith(SIGNATURE)
    chunks, at = {}, len(SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind], at = body, at + 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (WIDTH, HEIGHT)
    assert len(zlib.decompress(chunks[b"IDAT"])) == HEIGHT * (1 + 3 * WIDTH)


def test_other_seed_other_picture() -> None:
    assert colour_field(1) == colour_field(1)
    assert colour_field(1) != colour_field(2)


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DemoError, match="--dir"), claimed(tmp_path, keep=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_running_demo_keeps_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with claimed(folder, keep=False), pytest.raises(DemoError, match="another demo runs"), claimed(folder, keep=False):
        pass


@pytest.mark.parametrize(("ended", "keep", "stays"), [(True, False, False), (True, True, True), (False, False, True)])
def test_only_ended_runs_are_cleared(tmp_path: Path, ended: bool, keep: bool, stays: bool) -> None:
    with claimed(tmp_path / "demo", keep=False) as places:
        FACTS.save(places)
        if ended:
            mark_ended(places)
    with claimed(tmp_path / "demo", keep=keep) as places:
        assert (known_facts(places) == FACTS) is stays


def test_half_set_up_folder_begins_anew(tmp_path: Path) -> None:
    with claimed(tmp_path / "demo", keep=False) as places:
        (places.root / "half").touch()
    with claimed(tmp_path / "demo", keep=True) as places:
        assert not (places.root / "half").exists()


def test_frozen_files_are_cleared(tmp_path: Path) -> None:
    held = tmp_path / "demo" / "quarantine"
    held.mkdir(parents=True)
    (held / "0").write_bytes(b"colour field")
    handle = os.open(held / "0", os.O_RDONLY)
    try:
        fcntl.ioctl(handle, FS_IOC_SETFLAGS, struct.pack("l", IMMUTABLE))
    except OSError:
        pass  # no right or no such flag here: then nothing is frozen, and clearing must work all the same
    finally:
        os.close(handle)
    clear_folder(tmp_path / "demo", spare=())
    assert not list((tmp_path / "demo").iterdir())
    thaw(tmp_path)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    places = Places(root=tmp_path)
    places.make()
    return Desk(places)


def test_unfinished_job_is_taken_up(desk: Desk) -> None:
    job = desk.next_job()
    again = desk.next_job()
    assert (again.notice_id, again.body, again.is_continued) == (job.notice_id, job.body, True)
    desk.done(job)
    assert desk.next_job().notice_id != job.notice_id


def test_half_a_line_hides_no_callback(desk: Desk, tmp_path: Path) -> None:
    job = desk.next_job()
    (tmp_path / "issuer" / "heard.jsonl").write_text('{"id": "1", "notice_id": "' + job.notice_id)
    assert not desk.has_heard(job, "disabled")
    data = {"notice_id": job.notice_id, "item_id": "1", "status": "disabled", "sequence": 2}
    desk._write_down(Callback(id="2", type="t", subject="s", time="now", data=data))
    assert desk.has_heard(job, "disabled")
