"""The kit's lies as an S3 server would tell them."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

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


def _every_other(lost: Callable[[Request, Onward], object]) -> Fault:
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


def _done_but_failed(request: Request, onward: Onward) -> Answer:
    answer = onward(request)
    return answer if request.method in {"GET", "HEAD"} else Answer(status=500, body=_ERROR_PAGE)


def _copy_error_inside(request: Request, onward: Onward) -> Answer:
    """What S3 answers when a copy breaks after the head was sent: 200, and the error in the body."""
    return Answer(status=200, body=_ERROR_PAGE) if _copying(request) else onward(request)


def _copies_of_something_else(request: Request, onward: Onward) -> Answer:
    """Other bytes under the version it names, and an answer as if all were well."""
    if not _copying(request) or "uploadId" in request.parameters:
        return onward(request)
    kept = {name: item for name, item in request.headers.items() if not name.lower().startswith("x-amz-copy")}
    written = onward(replace(request, headers=kept, body=b"something else"))
    said = {name: item for name, item in written.headers.items() if name.lower() == "x-amz-version-id"}
    return replace(pretended(request), headers=said | {"Content-Type": "application/xml"})


def _deletes_hide(request: Request, onward: Onward) -> Answer:
    """A marker on top instead of the version gone."""
    if request.method == "DELETE" and "versionId" in request.parameters:
        return onward(replace(request, target=request.path))
    return onward(request)


def _endless(request: Request, onward: Onward) -> Answer:
    """Each page says that there is another, and the next one is the same."""
    answer = onward(request)
    prefix = parse_qs(request.query).get("prefix", [""])[0]
    key = b"<%s>" + escape(prefix).encode() + b"</%s>"
    more = b"<IsTruncated>true</IsTruncated>" + b"".join(key % (name, name) for name in _NEXT)
    return answer.with_body(re.sub(rb"<IsTruncated>[^<]*</IsTruncated>", more, answer.body))


_NEXT = (b"NextKeyMarker", b"NextVersionIdMarker", b"NextUploadIdMarker", b"NextContinuationToken")


def _without_the_newest(request: Request, onward: Onward) -> Answer:
    answer = onward(request)
    return answer.with_body(re.sub(rb"<Version>.*?</Version>", b"", answer.body, count=1, flags=re.DOTALL))


def _object_answers(change: Callable[[Request, Answer], Answer]) -> Fault:
    def lie(request: Request, onward: Onward) -> Answer:
        answer = onward(request)
        asked = request.method in {"GET", "HEAD"} and is_object(request) and not _LISTS & request.parameters
        return change(request, answer) if asked and answer.status in {200, 206} else answer

    return lie


_LISTS = {"versions", "uploads", "list-type", "policy", "versioning", "lifecycle", "acl", "tagging"}


def _header(answer: Answer, name: str, value: str) -> Answer:
    kept = {key: item for key, item in answer.headers.items() if key.lower() != name.lower()}
    return replace(answer, headers=kept | {name: value})


def _longer(request: Request, answer: Answer) -> Answer:
    said = {key.lower(): item for key, item in answer.headers.items()}.get("content-length", "0")
    return _header(answer, "Content-Length", str(int(said) + 1)) if request.method == "HEAD" else answer


def _old_heads() -> Fault:
    kept: dict[str, Answer] = {}

    def lie(request: Request, onward: Onward) -> Answer:
        answer = onward(request)
        return kept.setdefault(request.target, answer) if request.method == "HEAD" else answer

    return lie


def _no(status: int, code: bytes) -> Fault:
    page = b"<?xml version='1.0'?><Error><Code>" + code + b"</Code></Error>"
    return _object_answers(lambda request, _: Answer(status=status, body=b"" if request.method == "HEAD" else page))


MORE_LIES: dict[str, Callable[[], Fault]] = {
    "what was done is called failed": lambda: _done_but_failed,
    "copies fail behind a good status": lambda: _copy_error_inside,
    "copies are of something else": lambda: _copies_of_something_else,
    "deletes only hide": lambda: _deletes_hide,
    "listings never end": lambda: _listing(_endless),
    "listings lack the newest": lambda: _listing(_without_the_newest),
    "heads are old": _old_heads,
    "etags are wrong": lambda: _object_answers(lambda _, answer: _header(answer, "ETag", '"' + "0" * 32 + '"')),
    "lengths are wrong": lambda: _object_answers(_longer),
    "all is said to be missing": lambda: _no(404, b"NoSuchKey"),
    "all is said to be forbidden": lambda: _no(403, b"AccessDenied"),
    "all is said to be elsewhere": lambda: _no(301, b"PermanentRedirect"),
}

LIES: Mapping[str, Callable[[], Fault]] = MORE_LIES | {
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
    "every other answer is lost": lambda: _every_other(lambda request, onward: onward(request)),
    "every other request is lost": lambda: _every_other(lambda request, onward: None),
    "busy": lambda: _busy,
    "slow": lambda: _slow,
}
