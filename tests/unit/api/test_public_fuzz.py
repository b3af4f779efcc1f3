"""Whatever is sent: never a failure of ours, and nothing written for a stranger."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiver.api.app import create_public_app
from tests.doubles.web_side import WebSide, direction_json, make_web_side, notice_json

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = (*notice_json(), "items", "kind", "handling", "deadline", "extensions", "direction", "direction_id", "until")
COUNT = itertools.count()


@pytest.fixture(scope="module")
def web() -> Iterator[WebSide]:
    with tempfile.TemporaryDirectory() as folder:
        side = make_web_side(Path(folder))
        yield side
        side.store.close()


@pytest.fixture(scope="module")
def client(web: WebSide) -> FlaskClient:
    return create_public_app(web.services(max_unsigned_per_minute=10**9)).test_client()


def ask(client: FlaskClient, web: WebSide, method: str, path: str, body: bytes) -> int:
    request = web.hotline.request(method, path, body, now=dt.datetime.now(dt.UTC))
    headers = [line for line in request.headers if line[0] != "Content-Length"]
    return client.open(path, method=method, headers=headers, data=body or None).status_code


@QUICK
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_signed_notices_of_any_shape(web: WebSide, client: FlaskClient, members: dict[str, Any]) -> None:
    body = json.dumps(notice_json(**{"notice_id": f"F-{next(COUNT)}", **members})).encode()
    assert ask(client, web, "POST", "/v1/notices", body) in (202, 400, 403, 409, 422)


@QUICK
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_signed_directions_of_any_shape(web: WebSide, client: FlaskClient, members: dict[str, Any]) -> None:
    body = json.dumps(direction_json(**members)).encode()
    assert ask(client, web, "POST", "/v1/notices/F-0/directions", body) in (202, 400, 404, 422)


@QUICK
@given(st.binary(max_size=200))
def test_signed_bytes_of_any_kind(web: WebSide, client: FlaskClient, body: bytes) -> None:
    assert ask(client, web, "POST", "/v1/notices", body) in (400, 401, 415, 422)


@QUICK
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=30),
    st.dictionaries(
        st.sampled_from(["Host", "Signature", "Signature-Input", "Content-Digest", "Content-Type", "Content-Encoding"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80),
    ),
    st.binary(max_size=100),
)
def test_strangers_write_nothing(
    web: WebSide, client: FlaskClient, method: str, tail: str, headers: dict[str, str], body: bytes
) -> None:
    before = web.total_rows()
    for path in ("/v1/notices", f"/v1/notices/{tail}", "/.well-known/takedown-receiver", f"/{tail}"):
        got = client.open(path, method=method, headers=headers, data=body)
        assert got.status_code < 500
        assert got.status_code != 202
    assert web.total_rows() == before
