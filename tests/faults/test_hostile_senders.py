"""Every vector over a real connection to the real server: the answer, and what it leaves behind."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.generate import HERE
from tests.vectors.raw import Raw
from tests.vectors.raw import cases as raw_cases
from tests.vectors.run import load
from tests.vectors.wire import TAKEN, Reply, Server, replies, still_server, to_wire

VALID = sorted((HERE / "requests/valid").glob("*.json"))
INVALID = sorted((HERE / "requests/invalid").glob("*.json"))
RAW = raw_cases()
NOT_ON_THE_WIRE = {"header-name-with-colon"}
"""`X:: 1` is a header `X` with the value `: 1`: the vector's defect cannot be sent."""
NO_SUCH_PLACE = {"changed-path", "changed-path-case", "changed-path-with-dots", "changed-target", "signed-decoded-path"}
NO_SUCH_PLACE |= {f"target-{name}" for name in ("starting-with-two-slashes", "with-backslash", "with-bad-hex")}
NO_SUCH_PLACE |= {"target-with-broken-escape"}
NO_SUCH_METHOD = {"changed-method", "get-with-a-body", "method-delete", "method-put", "method-head"}
ELSEWISE = {
    # The server joins repeated lines, and no signature covers the joined line.
    "two-content-digests": (401, "signature-not-accepted"),
    "two-idempotency-keys": (401, "signature-not-accepted"),
    "two-content-encodings": (415, "unsupported-media-type"),
    # The server cuts the body where its length ends; the digest is of more.
    "content-length-too-short": (401, "signature-not-accepted"),
    **dict.fromkeys(NO_SUCH_PLACE, (404, "not-found")),
    **dict.fromkeys(NO_SUCH_METHOD, (405, "method-not-allowed")),
}
"""Refused before the policy sees it, or seen by it in another form: what the sender hears instead."""
ASKED = {"status-question", "status-question-p256", "status-question-with-json-type", "percent-encoded-path"}
"""Well signed, about a notice that is not there."""
WELL_SIGNED = {"malformed-json", "duplicate-member", "wrong-issuer", "invalid-notice", "content-not-accepted"}
WELL_SIGNED |= {"too-deep"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with still_server(tmp_path_factory.mktemp("still")) as running:
        yield running
        assert "Traceback" not in running.log()
        assert "request.failed" not in running.log()


class Trace:
    """What was written since it was made."""

    def __init__(self, server: Server) -> None:
        self._server, self._log = server, len(server.log())
        self._rows = (server.rows(*TAKEN), server.rows("nonce"), len(server.entries()))

    def rows(self) -> tuple[int, int, list[str]]:
        taken, nonces, entries = self._rows
        return self._server.rows(*TAKEN) - taken, self._server.rows("nonce") - nonces, self._server.entries()[entries:]

    def refusals(self) -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in self._server.log()[self._log :].splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == "request.refused"]


def send(server: Server, path: Path) -> Reply:
    cut_short = path.stem == "content-length-too-long"
    return server.ask(to_wire(load(path)["request"]), half_close=cut_short)


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_hostile_request_is_refused(server: Server, path: Path) -> None:
    server.forget()
    expect, trace = load(path)["expect"], Trace(server)
    reply = send(server, path)
    if path.stem in NOT_ON_THE_WIRE:
        assert reply.status == 202
        return
    status, problem = ELSEWISE.get(path.stem, (expect["status"], None))
    assert reply.status == status
    if problem is not None and path.stem != "method-head":
        assert reply.problem == problem
    if expect["reason"] in WELL_SIGNED:
        assert trace.rows() == (0, 1, ["notice.refused"])
        assert reply.problem == expect["reason"]
    else:
        assert trace.rows() == (0, 0, [])
    reasons = [line["reason"] for line in trace.refusals()]
    assert reasons in ([], [expect["reason"]]) or path.stem in ELSEWISE or reasons in (["body"], ["too-large"])


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_good_request_counts_once(server: Server, path: Path) -> None:
    server.forget()
    trace = Trace(server)
    first = send(server, path)
    if path.stem in ASKED:
        assert first.status == 404
        assert trace.rows()[0::2] == (0, [])
        return
    written = trace.rows()
    assert (first.status, written[1], written[2]) == (202, 1, ["notice.accepted"])
    again = send(server, path)
    assert (again.status, again.problem) == (409, "already-recorded")
    assert json.loads(again.body)["status_url"] == json.loads(first.body)["status_url"]
    assert trace.rows() == written
    assert [line["reason"] for line in trace.refusals()] == ["already-recorded"]


@pytest.mark.parametrize("case", RAW, ids=lambda case: case.name)
def test_odd_bytes_are_read_one_way(server: Server, case: Raw) -> None:
    trace = Trace(server)
    got = replies(server.talk(case.data, half_close=True))
    assert tuple(reply.status for reply in got) == case.answers
    assert got == [] or got[-1].problem == case.problem
    assert trace.rows()[1:] == ((1, ["notice.accepted"]) if case.taken else (0, []))
    assert (trace.rows()[0] > 0) is case.taken


def test_all_signature_failures_look_alike(server: Server) -> None:
    faces = set()
    for path in [path for path in INVALID if load(path)["expect"]["status"] == 401 and path.stem not in ELSEWISE]:
        reply = send(server, path)
        faces.add((reply.body, tuple(sorted(item for item in reply.headers.items() if item[0] != "date"))))
    assert len(faces) == 1


def test_hostile_requests_are_many(capsys: pytest.CaptureFixture[str]) -> None:
    refused = [case for case in RAW if not case.taken]
    statuses = Counter(status for case in refused for status in case.answers)
    statuses.update(load(path)["expect"]["status"] for path in INVALID)
    sent = len(INVALID) - len(NOT_ON_THE_WIRE) + len(refused)
    with capsys.disabled():
        sys.stdout.write(f"\nhostile requests sent: {sent}, by answer: {dict(sorted(statuses.items()))}\n")
    assert sent >= 500
    assert max(statuses) < 500
