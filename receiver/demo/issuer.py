"""The issuer's side: writes a notice, signs and sends it, listens, and remembers over a crash what it heard."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receiver.client.listen import Callback, Listener, listen_with_keys
from receiver.client.send import IssuerClient, load_key
from receiver.demo.picture import colour_field
from receiver.demo.places import HOST, ISSUER, Facts, Places
from receiver.demo.setup import CATEGORY, KEY_ID


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture, one notice. Kept in the issuer's folder, so that a killed demo goes on with the same."""

    notice_id: str
    path: str
    sha256: str
    body: bytes
    is_continued: bool = False


class Desk:
    """The issuer's folder: `notices/ID.json` as sent, `ID.job` what it is about, `heard.jsonl` every callback."""

    def __init__(self, places: Places) -> None:
        self._places, self._folder = places, places.issuer
        self._heard = self._folder / "heard.jsonl"
        self._lock = threading.Lock()

    def next_job(self) -> Job:
        """The one that was not finished, else a new picture and a new notice about it."""
        for note in sorted((self._folder / "notices").glob("*.job")):
            kept = json.loads(note.read_text(encoding="utf-8"))
            if not note.with_name(f"{kept['notice_id']}.done").exists():
                body = note.with_name(f"{kept['notice_id']}.json").read_bytes()
                return Job(**kept, body=body, is_continued=True)
        return self._new_job()

    def done(self, job: Job) -> None:
        (self._folder / "notices" / f"{job.notice_id}.done").touch()

    def _new_job(self) -> Job:
        now = dt.datetime.now(dt.UTC)
        mark = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        picture = colour_field(secrets.randbits(64))
        path = f"/gallery/field-{mark}.png"
        body = _notice(f"DEMO-{mark}", path, picture, now)
        job = Job(notice_id=f"DEMO-{mark}", path=path, sha256=_sha256(picture), body=body)
        (self._places.docroot / "gallery").mkdir(mode=0o755, exist_ok=True)
        _write(self._places.docroot / path.lstrip("/"), picture, mode=0o644)
        folder = self._folder / "notices"
        _write(folder / f"{job.notice_id}.json", job.body)
        kept = {"notice_id": job.notice_id, "path": job.path, "sha256": job.sha256}
        _write(folder / f"{job.notice_id}.job", json.dumps(kept).encode())
        return job

    def listen(self, facts: Facts, keys: bytes, on_callback: Callable[[Callback], None]) -> Listener:
        """Every callback is written down before it is answered: the receiver tells nothing twice once we said yes."""

        def heard(callback: Callback) -> None:
            self._write_down(callback)
            on_callback(callback)

        return listen_with_keys(keys, port=facts.callback_port, on_callback=heard)

    def has_heard(self, job: Job, status: str) -> bool:
        """In this run or an earlier one."""
        if not self._heard.exists():
            return False
        told = map(_told, self._heard.read_text(encoding="utf-8").splitlines())
        return (job.notice_id, status) in told

    def _write_down(self, callback: Callback) -> None:
        line = {
            "id": callback.id,
            "notice_id": callback.notice_id,
            "item_id": callback.item_id,
            "status": callback.status,
            "sequence": callback.sequence,
            "data": dict(callback.data),
        }
        with self._lock, self._heard.open("a", encoding="utf-8") as file:
            # On a line of its own, also after one that a kill cut short.
            file.write("\n" + json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def make_client(places: Places, facts: Facts) -> IssuerClient:
    """The receiver's keys come from its folder here; a real issuer compares their fingerprints by telephone."""
    jwks = (places.receiver / "keys" / "public.jwks.json").read_bytes()
    key = load_key(places.issuer / "key.pem")
    return IssuerClient(to=facts.origin_url, key=key, key_id=KEY_ID, jwks=jwks)


def _told(line: str) -> tuple[str, str]:
    """Notice and status; nothing for half a line: what it said was not answered, so it was told again."""
    try:
        found = json.loads(line)
    except ValueError:
        return "", ""
    return found["notice_id"], found["status"]


def _notice(notice_id: str, path: str, picture: bytes, now: dt.datetime) -> bytes:
    value: dict[str, Any] = {
        "schema": "takedown-notice/1",
        "notice_id": notice_id,
        "issuer": ISSUER,
        "issued_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "category": CATEGORY,
        "items": [{"item_id": "1", "url": f"http://{HOST}{path}", "hashes": {"sha256": _sha256(picture)}}],
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def _write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Whole or not at all, also when we are killed meanwhile."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=mode)
    temporary.write_bytes(content)
    temporary.rename(path)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


__all__ = ["Desk", "Job", "make_client"]
