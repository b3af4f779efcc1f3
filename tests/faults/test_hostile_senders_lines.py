"""What hides behind a request on the same connection, and what one issuer can learn or spoil of another's."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import wait_until
from tests.vectors.base import GOOD, NOTICE, STATUS, body_of
from tests.vectors.generate import HERE
from tests.vectors.keys import ed25519_key
from tests.vectors.raw import CHUNKED, draft, raw
from tests.vectors.signer import HOST, NOW, Draft
from tests.vectors.wire import TAKEN, Reply, Server, replies, still_server

END = f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
OF_B = {"key": ed25519_key("b"), "keyid": "b-ed25519"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with still_server(tmp_path_factory.mktemp("lines")) as running:
        yield running
        assert "Traceback" not in running.log()


def with_nonce(made: Draft, nonce: str) -> Draft:
    return made.but(params=(("nonce", f'"{nonce}"'),))


def unsigned(first: str, body: bytes, *, framed: bool = False) -> bytes:
    """A stranger's request that keeps the connection open."""
    frame = CHUNKED if framed else f"Content-Length: {len(body)}"
    content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if framed else body
    head = f"{first} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n{frame}\r\n\r\n"
    return head.encode() + content


OUTER = {
    "place": ("POST /nowhere", 404),
    "signature": ("POST /v1/notices", 401),
    "method": ("PUT /v1/notices", 405),
    "get": ("GET /healthz", 200),
    "head": ("HEAD /healthz", 200),
    "options": ("OPTIONS /healthz", 405),
    "status": ("GET /v1/notices/x", 400),
}


@pytest.mark.parametrize("framed", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("outer", OUTER)
def test_body_is_never_a_request(server: Server, outer: str, framed: bool) -> None:
    first, status = OUTER[outer]
    before = server.rows(*TAKEN, "nonce", "entry")
    hidden = raw(draft(), close=False)
    got = replies_of(server.talk(unsigned(first, hidden, framed=framed) + END), head_first=outer == "head")
    assert got[0].status == status
    assert [reply.status for reply in got[1:]] in ([], [200])
    assert server.rows(*TAKEN, "nonce", "entry") == before


def replies_of(data: bytes, *, head_first: bool) -> list[Reply]:
    """An answer to HEAD announces a body and has none."""
    if not head_first:
        return replies(data)
    head, _, rest = data.partition(b"\r\n\r\n")
    return [*replies(head.replace(b"Content-Length", b"X-Length") + b"\r\n\r\n"), *replies(rest)]


def test_too_large_body_ends_the_line(server: Server) -> None:
    before = server.rows(*TAKEN, "nonce", "entry")
    outer = raw(draft(), length="10485760", close=False, body=raw(draft()))
    assert [reply.status for reply in replies(server.talk(outer, half_close=True))] in ([413], [413, 400])
    assert server.rows(*TAKEN, "nonce", "entry") == before


@pytest.mark.parametrize(
    "broken",
    [
        raw(draft(), add=(CHUNKED,), close=False),
        raw(draft(), add=("Host: other.example",), close=False),
        raw(draft(), length=None, add=(CHUNKED,), close=False, body=b"zz\r\n"),
        raw(draft(), add=("X: a\r\n b",), close=False),
    ],
    ids=["length and chunks", "two hosts", "broken chunk", "folded line"],
)
def test_nothing_is_read_behind_broken_framing(server: Server, broken: bytes) -> None:
    before = server.rows(*TAKEN, "nonce", "entry")
    assert [reply.status for reply in replies(server.talk(broken + raw(draft())))] == [400]
    assert server.rows(*TAKEN, "nonce", "entry") == before


def test_pipelined_requests_are_judged_apart(server: Server) -> None:
    stranger = unsigned("POST /v1/notices", b"{}")
    good = [raw(draft(), close=False) for _ in range(3)]
    sent = good[0] + stranger + good[1] + good[0] + good[2] + END
    assert [reply.status for reply in replies(server.talk(sent))] == [202, 401, 202, 409, 202, 200]


def test_drips_on_every_thread_are_cut(tmp_path: Path) -> None:
    """More slow senders than threads; the next honest one is heard as soon as those were cut."""
    with still_server(tmp_path, request_seconds=1.0) as server:
        ended, honest = besiege(server)
    assert honest[-1] == 202
    assert len(ended) == 24
    assert all(data == b"" or replies(data)[0].status == 400 for data in ended)


def besiege(server: Server) -> tuple[list[bytes], list[int]]:
    ended: list[bytes] = []
    slow = b"POST /v1/notices HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    threads = [threading.Thread(target=lambda: ended.append(server.talk(slow, seconds=120))) for _ in range(24)]
    for thread in threads:
        thread.start()
    honest: list[int] = []

    def heard() -> bool:
        with contextlib.suppress(OSError, ValueError):
            honest.append(server.ask(raw(draft())).status)
        return bool(honest)

    wait_until(heard, "an honest sender is heard", seconds=120)
    for thread in threads:
        thread.join(120)
    return ended, honest


def test_nonce_of_one_issuer_is_free_for_another(server: Server) -> None:
    nonce = "one-nonce-for-two-issuers"
    mine = with_nonce(GOOD.but(body=body_of({**NOTICE, "notice_id": "shared"})), nonce)
    theirs = body_of({**NOTICE, "notice_id": "shared", "issuer": "hotline-b"})
    assert server.ask(raw(mine)).status == 202
    assert server.ask(raw(with_nonce(GOOD.but(body=theirs, **OF_B), nonce))).status == 202
    again = server.ask(raw(with_nonce(mine.but(body=mine.body + b" "), nonce)))
    assert (again.status, again.problem) == (409, "nonce-used")


def test_key_of_another_issuer_opens_nothing(server: Server) -> None:
    """B signs, in good form, what says it is A's; and A's bytes under B's key id."""
    before = server.rows(*TAKEN)
    named = draft(**OF_B)
    assert server.ask(raw(named)).problem == "wrong-issuer"
    assert server.ask(raw(draft(keyid="b-ed25519"))).status == 401
    assert server.ask(raw(draft(key=OF_B["key"]))).status == 401
    assert server.rows(*TAKEN) == before


def question(notice: str, nonce: str, **changes: object) -> Draft:
    return with_nonce(STATUS.but(target=f"/v1/notices/{notice}", **changes), nonce)


def face(reply: Reply) -> tuple[object, ...]:
    own = {"date", "signature", "signature-input", "content-digest"}
    return reply.status, reply.body, tuple(sorted(item for item in reply.headers.items() if item[0] not in own))


def test_others_notices_do_not_exist(server: Server) -> None:
    assert server.ask(raw(with_nonce(GOOD.but(body=body_of({**NOTICE, "notice_id": "mine"})), "n" * 20))).status == 202
    assert server.ask(raw(question("mine", "asks-for-its-own-0"))).status == 200
    there = server.ask(raw(question("mine", "asks-for-anothers", **OF_B)))
    nowhere = server.ask(raw(question("nothing", "asks-for-nothing-", **OF_B)))
    assert there.status == 404
    assert face(there) == face(nowhere)


def direction(notice: str, nonce: str, **members: object) -> Draft:
    body = {
        "schema": "takedown-direction/1",
        "direction_id": nonce,
        "issuer": "hotline-b",
        "issued_at": "2026-11-22T09:29:30Z",
        "direction": "withdraw",
        **members,
    }
    return with_nonce(GOOD.but(target=f"/v1/notices/{notice}/directions", body=body_of(body), **OF_B), nonce)


def test_others_notices_cannot_be_directed(server: Server) -> None:
    mine = GOOD.but(body=body_of({**NOTICE, "notice_id": "withdrawn-by-b"}))
    assert server.ask(raw(with_nonce(mine, "hands-in-a-notice"))).status == 202
    before = server.rows(*TAKEN)
    there = server.ask(raw(direction("withdrawn-by-b", "directs-anothers")))
    nowhere = server.ask(raw(direction("nothing", "directs-nothing-")))
    assert there.status == 404
    assert face(there) == face(nowhere)
    assert server.ask(raw(direction("withdrawn-by-b", "says-it-is-a-000", issuer="hotline-a"))).status in (404, 422)
    assert server.rows(*TAKEN) == before


def test_expired_replay_is_not_a_replay(server: Server) -> None:
    """A request whose time is over is no signature at all, so it cannot ask whether it was heard."""
    times = (("created", str(NOW - 400)), ("expires", str(NOW - 200)))
    made = draft(params=(*times, ("nonce", '"long-gone-nonce-0"')))
    assert [server.ask(raw(made)).status for _ in range(2)] == [401, 401]


def test_vectors_keys_name_one_issuer_each() -> None:
    """Else one issuer could sign what counts as another's."""
    sets = [json.loads(path.read_text())["keys"] for path in sorted((HERE / "keys").glob("*.jwks.json"))]
    ids = [key["kid"] for keys in sets for key in keys]
    assert len(sets) == 2
    assert len(set(ids)) == len(ids)
