from __future__ import annotations

import datetime as dt
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.client.listen import Listener, listen_with_keys
from receiver.verification.signing import SigningKey, sign_request

KEY = SigningKey.named_by_thumbprint(Ed25519PrivateKey.generate())
JWKS = json.dumps({"keys": [KEY.public_jwk()]}).encode()
SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listen_with_keys(JWKS) as running:
        yield running


def event(number: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"E-{number}",
        "source": "https://notices.host.example",
        "type": "takedown.item.disabled",
        "subject": "N-1/1",
        "time": "2026-11-22T09:30:00.412Z",
        "datacontenttype": "application/json",
        "data": {"notice_id": "N-1", "item_id": "1", "status": "disabled", "sequence": number, **data},
    }


def signed(listener: Listener, value: Any, **how: Any) -> tuple[bytes, dict[str, str]]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    kind = BATCH if isinstance(value, list) else SINGLE
    how = {"key": KEY, "now": dt.datetime.now(dt.UTC), **how}
    return body, sign_request(method="POST", url=listener.url, content_type=kind, body=body, **how)


def post(listener: Listener, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(listener.url)
    conn = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    conn.request("POST", parts.path, body=body, headers=headers)
    status = conn.getresponse().status
    conn.close()
    return status


def tell(listener: Listener, value: Any, **how: Any) -> int:
    return post(listener, *signed(listener, value, **how))


def test_callback_is_heard_once(listener: Listener) -> None:
    assert tell(listener, event(2)) == 204
    assert tell(listener, event(2)) == 204
    assert [(c.id, c.status, c.sequence) for c in listener.callbacks] == [("E-2", "disabled", 2)]
    assert "N-1 item 1: disabled" in listener.callbacks[0].line()


def test_batch_keeps_its_order(listener: Listener) -> None:
    assert tell(listener, [event(2), event(3)]) == 204
    assert tell(listener, [event(3), event(4)]) == 204
    assert [c.sequence for c in listener.callbacks] == [2, 3, 4]


def test_late_callback_is_refused(listener: Listener) -> None:
    assert tell(listener, event(4)) == 204
    assert tell(listener, event(3)) == 409
    assert listener.faults == ("out-of-order",)


def test_forged_and_changed_are_refused(listener: Listener) -> None:
    forger = SigningKey(key_id=KEY.key_id, private_key=Ed25519PrivateKey.generate())
    assert tell(listener, event(2), key=forger) == 401
    body, headers = signed(listener, event(2))
    assert post(listener, body.replace(b"disabled", b"restored"), headers) == 401
    assert tell(listener, event(2), now=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) == 401
    assert tell(listener, event(2), tag="takedown-notice") == 401
    assert post(listener, body, {"Content-Type": SINGLE}) == 401
    assert listener.callbacks == ()
    assert listener.faults[:3] == ("bad-signature", "bad-digest", "expired")


def test_same_request_twice_is_refused(listener: Listener) -> None:
    body, headers = signed(listener, event(2))
    assert [post(listener, body, headers), post(listener, body, headers)] == [204, 409]


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        [],
        {"specversion": "0.3"},
        {**event(2), "id": 7},
        {**event(2), "data": {"notice_id": "N-1"}},
        event(2, sequence="2"),
        [event(2), 5],
    ],
)
def test_nonsense_is_refused(listener: Listener, value: Any) -> None:
    assert tell(listener, value) == 400
    assert listener.callbacks == ()


def test_refusals_can_be_ordered(listener: Listener) -> None:
    listener.refuse_next(503, 500)
    assert [tell(listener, event(2)) for _ in range(3)] == [503, 500, 204]


def test_length_must_be_given(listener: Listener) -> None:
    assert post(listener, b"", {"Content-Length": "99999999"}) == 413


def test_waiting_ends_with_the_callback(listener: Listener) -> None:
    tell(listener, event(2))
    assert listener.wait_for(lambda heard: any(c.status == "disabled" for c in heard), 5)
    assert not listener.wait_for(lambda heard: len(heard) > 1, 0.01)


def test_every_callback_is_handed_on() -> None:
    heard: list[str] = []
    with listen_with_keys(JWKS, on_callback=lambda callback: heard.append(callback.id)) as listener:
        tell(listener, [event(2), event(3)])
    assert heard == ["E-2", "E-3"]
