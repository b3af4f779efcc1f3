"""Reads vectors and puts one through the receiver's stages, as the API does."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

from receiver.domain.notice import UnverifiedRequest, VerifiedNotice, VerifiedRequest
from receiver.intake.handling import check_handling
from receiver.intake.notice import parse_notice
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRing
from receiver.verification.policy import bind_notice, verify_request

HERE = Path(__file__).parent


def load(path: Path) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return vector


def ring() -> KeyRing:
    """All TEST keys, by issuer."""
    files = sorted((HERE / "keys").glob("*.jwks.json"))
    return KeyRing(
        [record for file in files for record in load_jwks(file.name.removesuffix(".jwks.json"), file.read_bytes())]
    )


def request_of(vector: dict[str, Any]) -> UnverifiedRequest:
    made = vector["request"]
    return UnverifiedRequest(
        method=made["method"],
        target=made["target"],
        headers=tuple((name, value) for name, value in made["headers"]),
        body=base64.b64decode(made["body"]) * made.get("body_repeat", 1),
    )


def run(vector: dict[str, Any], register: KeyRing) -> VerifiedNotice | VerifiedRequest:
    now = dt.datetime.fromisoformat(vector["now"])
    verified = verify_request(request_of(vector), origins=tuple(vector["origins"]), register=register, now=now)
    if verified.request.method == "GET":
        return verified
    bound = bind_notice(verified, parse_notice(verified.request.body))
    check_handling(bound.notice, may_keep_up=False, received_at=now)
    return bound
