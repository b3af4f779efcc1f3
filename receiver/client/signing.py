"""Sign a notice, a direction or a status question as an issuer."""

from __future__ import annotations

import datetime as dt

from receiver.verification.keys import PrivateKey
from receiver.verification.signing import LIFETIME_SECONDS, NOTICE_TAG, SigningKey, sign_request


def sign_notice(
    method: str,
    url: str,
    body: bytes,
    key: PrivateKey,
    key_id: str,
    *,
    now: dt.datetime,
    nonce: str | None = None,
    lifetime_seconds: int = LIFETIME_SECONDS,
    idempotency_key: str | None = None,
    label: str = "sig1",
) -> dict[str, str]:
    """All headers to send beside `Host`. `url` is absolute and goes out exactly as signed.

    Every try needs a new call: the nonce counts once. Raises SigningError.
    """
    return sign_request(
        method=method,
        url=url,
        content_type="application/json",
        body=body,
        key=SigningKey(key_id=key_id, private_key=key),
        now=now,
        tag=NOTICE_TAG,
        nonce=nonce,
        lifetime_seconds=lifetime_seconds,
        idempotency_key=idempotency_key,
        label=label,
    )
