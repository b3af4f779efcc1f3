"""The kit's lies as an S3 server would tell them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping

from tests.doubles.faulty_proxy import Answer, Fault, Onward, Request, is_object, pretended

SLOW_SECONDS = 1.2
"""More than the tests' adapters wait."""

_ERROR_PAGE = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>later</Message></Error>"


def _copying(request: Request) -> bool:
    return any(name.lower() == "x-amz-copy-source" for name in request.headers)


def _instead(applies: Callable[[Request], bool]) -> Fault:
    def lie(request: Request, onward: Onward) -> Answer:
        return pretended(request) if applies(request) else onward(request)

    return lie


def _body(change: Callable[[Answer], Answer]) -> Fault:
    def lie(request: Request, onward: Onward) -> Answer:
        answer = onward(request)
        reading = request.method == "GET" and is_object(request) and answer.status in {200, 206}
        return change(answer) if reading and answer.body else answer

    return lie


def _flipped(answer: Answer) -> Answer:
    middle = len(answer.body) // 2
    return answer.with_body(answer.body[:middle] + bytes([answer.body[middle] ^ 1]) + answer.body[middle + 1 :])


def _old() -> Fault:
    """Every body as it was a moment before: of another upload, with headers that fit it."""
    return _body(lambda answer: answer.with_body(bytes(reversed(answer.body))))


def _listing(change: Callable[[Request, Onward], Answer]) -> Fault:
    def lie(request: Request, onward: Onward) -> Answer:
        listing = request.method == "GET" and request.parameters & {"versions", "uploads", "list-type"}
        return change(request, onward) if listing else onward(request)

    return lie


def _empty(request: Request, onward: Onward) -> Answer:
    answer = onward(request)
    name = b"ListVersionsResult" if "versions" in request.parameters else b"ListBucketResult"
    if "uploads" in request.parameters:
        name = b"ListMultipartUploadsResult"
    return answer.with_body(b"<" + name + b"><IsTruncated>false</IsTruncated></" + name + b">")


def _old_listings() -> Fault:
    kept: dict[str, Answer] = {}

    def first(request: Request, onward: Onward) -> Answer:
        return kept.setdefault(request.target, onward(request))

    return _listing(first)


def _every_other(lost: Callable[[Request, Onward], None]) -> Fault:
    turn = itertools.count()

    def lie(request: Request, onward: Onward) -> Answer | None:
        if next(turn) % 2:
            lost(request, onward)
            return None
        return onward(request)

    return lie


def _slow(request: Request, onward: Onward) -> Answer:
    time.sleep(SLOW_SECONDS)
    return onward(request)


def _busy(request: Request, onward: Onward) -> Answer:
    del request, onward
    return Answer(status=503, body=_ERROR_PAGE.replace(b"InternalError", b"SlowDown"))


LIES: Mapping[str, Callable[[], Fault]] = {
    "writes are not done": lambda: _instead(lambda r: r.method == "PUT" and not r.query and not _copying(r)),
    "copies are not done": lambda: _instead(_copying),
    "deletes are not done": lambda: _instead(lambda r: r.method == "DELETE"),
    "rules are not kept": lambda: _instead(lambda r: r.method != "GET" and "policy" in r.parameters),
    "bodies are cut short": lambda: _body(lambda answer: answer.with_body(answer.body[:-1])),
    "bodies have a flipped bit": lambda: _body(_flipped),
    "bodies break off": lambda: _body(
        lambda answer: Answer(
            status=answer.status, headers=answer.headers, body=answer.body, breaks_off_after=len(answer.body) // 2
        )
    ),
    "bodies are old": _old,
    "bodies are an error page": lambda: _body(lambda answer: answer.with_body(_ERROR_PAGE)),
    "listings are empty": lambda: _listing(_empty),
    "listings are old": _old_listings,
    "every other answer is lost": lambda: _every_other(lambda request, onward: onward(request) and None),
    "every other request is lost": lambda: _every_other(lambda request, onward: None),
    "busy": lambda: _busy,
    "slow": lambda: _slow,
}
