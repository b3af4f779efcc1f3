"""A stored request is verified again as of the time it came, by the keys of now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from receiver.verification.errors import VerificationError
from receiver.verification.keys import KeyStatus
from tests.unit.verification.signed_notices import LATER, NOW, again, ring_with, signed, stored, verify
from tests.vectors.base import BODY


def test_stored_request_verifies_again() -> None:
    verified = verify(signed())
    second = again(stored(verified))
    assert second.request_sha256 == verified.request_sha256
    assert "private" not in str(stored(verified).covered)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": BODY + b" "}, "bad-digest"),
        ({"issuer": "hotline-b"}, "stored-issuer-differs"),
        ({"covered": {}}, "stored-request-malformed"),
        ({"covered": {"method": "POST", "target": "/", "headers": [["a"]]}}, "stored-request-malformed"),
        ({"covered": {"method": "POST", "target": "/", "headers": 7}}, "stored-request-malformed"),
    ],
)
def test_tampered_row_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        again(stored(verify(signed()), **changes))


def test_row_received_too_late_is_refused() -> None:
    message = stored(verify(signed()))
    with pytest.raises(VerificationError, match="expired"):
        again(message, received_at=NOW + dt.timedelta(seconds=331))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": KeyStatus.REVOKED}, "key-revoked"),
        ({"revoked_at": LATER}, "key-revoked"),
        ({"status": KeyStatus.PENDING}, "key-pending"),
        ({"not_after": NOW - dt.timedelta(seconds=1)}, "key-expired"),
    ],
)
def test_stored_request_of_bad_key_is_refused(changes: dict[str, Any], reason: str) -> None:
    message = stored(verify(signed()))
    with pytest.raises(VerificationError, match=reason):
        again(message, ring=ring_with("a-ed25519", **changes))


def test_stored_request_outlives_key_retirement() -> None:
    message = stored(verify(signed()))
    retired = ring_with("a-ed25519", status=KeyStatus.RETIRED)
    assert again(message, ring=retired).issuer == "hotline-a"
    with pytest.raises(VerificationError, match="key-retired"):
        verify(signed(), ring=retired)
