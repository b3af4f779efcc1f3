"""The host of a scenario and the world around it: its folders, the time, the public, the issuer's endpoint.

Everything under `disk` may be hit by a fault or lost by a power cut. What lies under `peer` stands for other machines:
what the issuer was answered and told, which no fault of ours can take back. It is written by `writev` alone, a call
that nothing of the receiver makes, so that no fault is put into it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receiver.domain.clock import to_micros
from receiver.domain.errors import DeliveryError
from receiver.domain.ports import SentResponse
from receiver.domain.web import Look, LookTarget, Seen
from receiver.resolution.urls import canonical_url

HOST = "img.example.net"
PICTURE = "acme/a/pic.jpg"
SECOND_NAME = "acme/b/copy.jpg"
NEIGHBOURS = ("acme/a/other.jpg", "beta/x.jpg")
LONG_AGO_NS = 1_700_000_000_000_000_000
SIZE_BYTES = 70_001
"""A little more than one chunk of a sealed file."""


def noise(name: str, size: int = SIZE_BYTES) -> bytes:
    """The same bytes for the same name."""
    return hashlib.shake_256(name.encode()).digest(size)


@dataclass(frozen=True, kw_only=True)
class Places:
    root: Path

    @property
    def disk(self) -> Path:
        return self.root / "disk"

    @property
    def docroot(self) -> Path:
        return self.disk / "docroot"

    @property
    def quarantine(self) -> Path:
        return self.disk / "quarantine"

    @property
    def database(self) -> Path:
        return self.disk / "data" / "receiver.db"

    @property
    def map_file(self) -> Path:
        return self.disk / "gate" / "denied.conf"

    @property
    def vault(self) -> Path:
        return self.disk / "vault"

    @property
    def peer(self) -> Path:
        return self.root / "peer"

    def lay_out(self) -> None:
        """The host as it is before the receiver is started for the first time."""
        for folder in ("disk/data", "disk/gate", "disk/copy", "peer"):
            (self.root / folder).mkdir(parents=True)
        for name in (PICTURE, *NEIGHBOURS):
            path = self.docroot / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise(name))
        second = self.docroot / SECOND_NAME
        second.parent.mkdir()
        os.link(self.docroot / PICTURE, second)
        for name in (PICTURE, *NEIGHBOURS):
            os.utime(self.docroot / name, ns=(LONG_AGO_NS, LONG_AGO_NS))

    def say(self, line: str) -> None:
        """Tell the outside; what was told stays told."""
        append(self.peer / "said", line.encode() + b"\n")

    def said(self) -> list[list[str]]:
        try:
            return [line.split(" ") for line in (self.peer / "said").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def letters(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in (self.peer / "mailbox").read_text().splitlines()]
        except FileNotFoundError:
            return []


def append(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.writev(file, [data])
    finally:
        os.close(file)


class SteeredClock:
    def __init__(self, at: dt.datetime) -> None:
        self.at = at

    def now(self) -> dt.datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Visitor:
    """Asks the docroot alone: a gate in front of it must not hide that the file is still there."""

    def __init__(self, places: Places, clock: SteeredClock) -> None:
        self._places, self._clock = places, clock

    def look(self, target: LookTarget) -> tuple[Look, ...]:
        up = (self._places.docroot / "acme" / canonical_url(target.url).path.decode().lstrip("/")).exists()
        status, seen = (200, Seen.UP) if up else (404, Seen.GONE)
        at = to_micros(self._clock.now())
        return (Look(address="127.0.0.1:80", status=status, at=at, vantage="here", verdict=seen),)


class Mailbox:
    """The issuer's endpoint; notes beside each event whether the docroot served the picture at that moment."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, allow_private: bool = False) -> SentResponse:
        del url, headers, allow_private
        told = json.loads(body)
        served = (self._places.docroot / PICTURE).exists()
        for event in told if isinstance(told, list) else [told]:
            line = json.dumps({"event": event, "served": served}).encode() + b"\n"
            try:
                append(self._places.peer / "mailbox", line)
            except OSError as exc:
                raise DeliveryError("the peer is away") from exc
            self._places.say(f"TOLD {event['id']} {event['type'].rpartition('.')[2]}")
        return SentResponse(status=204, headers={}, body=b"", address="127.0.0.1")


class Inline(ThreadPoolExecutor):
    def __init__(self) -> None:
        super().__init__(max_workers=1)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
