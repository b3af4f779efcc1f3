"""What a world is made of: a clock that is steered, a vault and a mailbox in memory, rows of a notice."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from receiver.domain.ports import SentResponse
from receiver.domain.seals import SealedTogether, SealResult, ToSeal


class SteeredClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = dt.datetime.now(dt.UTC)

    def now(self) -> dt.datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def move(self, **delta: float) -> None:
        self.at += dt.timedelta(**delta)


class MemoryVault:
    """Keeps sealed bytes by id; `broken` makes it refuse."""

    def __init__(self) -> None:
        self.sealed: dict[str, bytes] = {}
        self.broken: Exception | None = None

    def seal(
        self, seal_id: str, read: Callable[[int], bytes], *, digests: tuple[str, ...] = ("sha256", "md5", "sha1")
    ) -> SealResult:
        del digests
        if self.broken is not None:
            raise self.broken
        body = b"".join(iter(lambda: read(65536), b""))
        self.sealed[seal_id] = body
        return SealResult(
            seal_id=seal_id,
            payload_ref=f"{seal_id}.age",
            header_ref=f"{seal_id}.header",
            sha256_plain=hashlib.sha256(body).hexdigest(),
            md5_plain=hashlib.md5(body).hexdigest(),
            sha1_plain=None,
            size_bytes=len(body),
            sha256_sealed=hashlib.sha256(b"sealed" + body).hexdigest(),
            sealed_bytes=len(body) + 16,
            checked_at=1,
        )

    def seal_document(self, name: str, data: bytes) -> SealResult:
        parts = iter((data, b""))
        return self.seal(name, lambda _size: next(parts))

    def seal_all(
        self, objects: Sequence[ToSeal], name: str, manifest: Callable[[Sequence[SealResult]], bytes]
    ) -> SealedTogether:
        seals = []
        for one in objects:
            with one.open() as read:
                seals.append(self.seal(one.seal_id, read))
        return SealedTogether(seals=tuple(seals), manifest=self.seal_document(name, manifest(seals)))

    def check_seal(self, payload_ref: str, sha256_sealed: str) -> bool:
        body = self.sealed[payload_ref.removesuffix(".age")]
        return hashlib.sha256(b"sealed" + body).hexdigest() == sha256_sealed

    def check_header(self, header_ref: str) -> bool:
        return header_ref.removesuffix(".header") in self.sealed

    def probe(self) -> tuple[str, ...]:
        return ()


class Mailbox:
    """The issuer's endpoint. `answer` is the next status, or an error."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, Mapping[str, str], bytes]] = []
        self.answer: int | Exception = 204

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, allow_private: bool = False) -> SentResponse:
        del allow_private
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer < 300:
            self.letters.append((url, headers, body))
        return SentResponse(status=self.answer, headers={}, body=b"", address="127.0.0.1")


def message_row(message: str, issuer: str, now: int) -> dict[str, Any]:
    return {
        "id": message,
        "channel": "api",
        "issuer": issuer,
        "body": b"{}",
        "sha256": "00" * 32,
        "signature_input": "x",
        "signature": "y",
        "covered": {},
        "key_thumbprint": "t",
        "created_at": now,
    }


def item_row(item: str, notice: str, item_id: str, url: str, now: int, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": item,
        "notice": notice,
        "item_id": item_id,
        "url": url,
        "canonical": None,
        "host": "",
        "status": "received",
        "reason": None,
        "status_at": now,
        "approved_by": None,
        "withdrawn_at": None,
        "iccam_at": None,
        "details": details,
    }


class Inline(ThreadPoolExecutor):
    """Runs at once, in the caller's thread."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
