"""What the vectors start from: one good notice, signed by three kinds of key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.vectors.keys import ed25519_key, p256_key, rsa_key
from tests.vectors.signer import Draft

NOTICE: dict[str, Any] = {
    "schema": "takedown-notice/1",
    "notice_id": "A-2026-000123",
    "issuer": "hotline-a",
    "issued_at": "2026-11-22T09:29:00Z",
    "category": "test",
    "kind": "test",
    "items": [{"item_id": "1", "url": "https://img.example.net/colour-field.png"}],
}


def body_of(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


BODY = body_of(NOTICE)
GOOD = Draft(key=ed25519_key("a"), body=BODY)
GOOD_P256 = GOOD.but(key=p256_key("a"), keyid="a-p256")
GOOD_RSA = GOOD.but(key=rsa_key("a"), keyid="a-rsa")
STATUS = Draft(
    key=ed25519_key("a"), method="GET", target="/v1/notices/A-2026-000123", components=("@method", "@target-uri")
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vector. `name` says its one defect."""

    name: str
    request: dict[str, Any]
    status: int
    reason: str
    """The reason of the refusal as our log has it, or the `type` of the answer where the body is at fault."""


def bad(name: str, status: int, reason: str, request: dict[str, Any] | Draft) -> Case:
    return Case(
        name=name, request=request.finish() if isinstance(request, Draft) else request, status=status, reason=reason
    )


def good(name: str, request: dict[str, Any] | Draft) -> Case:
    return bad(name, 202, "", request)
