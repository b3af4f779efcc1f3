"""What an answer from outside means. No I/O; only a clear answer is ever `gone`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from receiver.domain.web import MALFORMED, TO_HTTPS, LookTarget, Seen

__all__ = ["Answer", "Judgement", "edge_name", "has_broken_escape", "judge", "read_answer"]

MAX_TEXT = 128
_HARMLESS = re.compile(r"[^A-Za-z0-9 ._:(),;=\"-]")
_EDGE_HEADERS = ("x-served-by", "cf-ray", "x-amz-cf-pop", "cf-cache-status", "x-cache", "via", "server-timing")
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d{1,18})")
_NUMBER = re.compile(r"\d{1,18}")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The head of an answer, cut down to what is judged and kept."""

    status: int
    etag: str | None
    length: int | None
    """Of the whole thing, not of the part that was asked for; None where the answer is compressed or does not say."""
    age_seconds: int | None
    html: bool
    location: str | None
    edge: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    verdict: Seen
    note: str = ""
    location_host: str | None = None


def read_answer(status: int, headers: Mapping[str, str]) -> Answer:
    """`headers` by lower-case name. Whatever is odd in them is left out, never raised."""
    return Answer(
        status=status,
        etag=_harmless(headers["etag"]) if headers.get("etag") else None,
        length=_length(status, headers),
        age_seconds=_number(headers.get("age", "")),
        html=headers.get("content-type", "").strip().lower().startswith(("text/html", "application/xhtml")),
        location=headers.get("location"),
        edge=edge_name(headers),
    )


def judge(answer: Answer, target: LookTarget, *, requested_url: str) -> Judgement:
    """Decide what one answer says of the notified URL.

    404, 410 and 451 are gone; 403 only while we deny it ourselves, since hotlink guards refuse us and serve others.
    Content is `up` when its size or ETag is the expected one or nothing is known, `replaced` when both differ from what
    is known. All else, a page in place of a picture included, leaves it open: a server's refusal of the request itself
    (400, 414, 431) too, since another server may stand in front for other visitors.
    """
    status = answer.status
    if status in (404, 410, 451):
        return Judgement(verdict=Seen.GONE)
    if status == 403:
        return Judgement(verdict=Seen.GONE, note="denied_by_us") if target.denying else _unclear("forbidden")
    if status in (200, 206, 416):
        return _content(answer, target)
    if 300 <= status <= 399:
        return _redirect(answer, requested_url)
    if status >= 500:
        return _unclear("server_error")
    if status == 400 and has_broken_escape(requested_url.partition("?")[0]):
        return _unclear(MALFORMED)
    return _unclear(
        {401: "login", 407: "login", 414: "too_long", 429: "rate_limited", 431: "too_long"}.get(status, "odd_status")
    )


def has_broken_escape(before_query: str) -> bool:
    """Whether a percent sign begins no escape. Browsers send it as it is; nginx and others answer 400 to it."""
    return _BROKEN_ESCAPE.search(before_query) is not None


def edge_name(headers: Mapping[str, str]) -> str:
    """What the edge says of itself, in characters that can harm neither a page nor a log."""
    named = [f"{name}={headers[name]}" for name in _EDGE_HEADERS if headers.get(name)]
    return _harmless("; ".join(named))


def _content(answer: Answer, target: LookTarget) -> Judgement:
    same_size = _compare(answer.length, target.expected_size)
    same_etag = _compare(_bare(answer.etag), _bare(target.expected_etag))
    if same_size or same_etag:
        return Judgement(verdict=Seen.UP)
    if answer.status == 416:
        return _unclear("range_refused")
    if answer.html and not target.expects_page:
        return _unclear("page_instead")
    if same_size is None and same_etag is None:
        return Judgement(verdict=Seen.UP, note="not_compared")
    return Judgement(verdict=Seen.REPLACED)


def _redirect(answer: Answer, requested_url: str) -> Judgement:
    """Redirects are never followed; one to the same URL by https is told apart, as whole sites do that."""
    if answer.location is None or answer.status == 304:
        return _unclear("odd_status")
    try:
        leads_to = urljoin(requested_url, answer.location)
        host = urlsplit(leads_to).hostname
    except ValueError:
        return _unclear("moved")
    to_https = requested_url.startswith("http:") and leads_to == "https:" + requested_url.removeprefix("http:")
    shown = _harmless(host)[:MAX_TEXT] if host else None
    return Judgement(verdict=Seen.INCONCLUSIVE, note=TO_HTTPS if to_https else "moved", location_host=shown)


def _unclear(note: str) -> Judgement:
    return Judgement(verdict=Seen.INCONCLUSIVE, note=note)


def _compare(seen: object, expected: object) -> bool | None:
    return None if seen is None or expected is None else seen == expected


def _bare(etag: str | None) -> str | None:
    """Weak or strong, quoted or not: caches and compressors change that and keep the value."""
    return None if etag is None else etag.strip().removeprefix("W/").removeprefix("W_").strip('"')


def _length(status: int, headers: Mapping[str, str]) -> int | None:
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return None
    if status in (206, 416):
        found = _TOTAL.fullmatch(headers.get("content-range", "").strip())
        return int(found[1]) if found else None
    return _number(headers.get("content-length", "")) if status == 200 else None


def _number(text: str) -> int | None:
    digits = text.strip()
    return int(digits) if _NUMBER.fullmatch(digits) else None


def _harmless(text: str) -> str:
    return _HARMLESS.sub("_", text)[:MAX_TEXT]
