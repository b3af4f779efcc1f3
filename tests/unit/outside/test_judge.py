from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.domain.status import Verdict
from receiver.domain.web import MALFORMED, NO_ROUTE, TO_HTTPS, Look, LookKind, LookTarget, Seen, combine
from receiver.outside.judge import edge_name, judge, read_answer

URL = "http://img.example/a.jpg"
IMAGE = {"content-type": "image/jpeg"}


def target(**more: Any) -> LookTarget:
    return LookTarget(url=URL, scheme="http", host="img.example", port=80, **more)


def seen(status: int, headers: dict[str, str] | None = None, **more: Any) -> tuple[str, str]:
    judged = judge(read_answer(status, headers or {}), target(**more), requested_url=URL)
    return judged.verdict.value, judged.note


@pytest.mark.parametrize(
    ("status", "verdict", "note"),
    [
        (404, "gone", ""),
        (410, "gone", ""),
        (451, "gone", ""),
        (403, "inconclusive", "forbidden"),
        (401, "inconclusive", "login"),
        (407, "inconclusive", "login"),
        (429, "inconclusive", "rate_limited"),
        (400, "inconclusive", "odd_status"),
        (414, "inconclusive", "too_long"),
        (431, "inconclusive", "too_long"),
        (204, "inconclusive", "odd_status"),
        (304, "inconclusive", "odd_status"),
        (301, "inconclusive", "odd_status"),
        (416, "inconclusive", "range_refused"),
        (500, "inconclusive", "server_error"),
        (502, "inconclusive", "server_error"),
        (503, "inconclusive", "server_error"),
        (521, "inconclusive", "server_error"),
    ],
)
def test_status_alone_decides(status: int, verdict: str, note: str) -> None:
    assert seen(status) == (verdict, note)


@pytest.mark.parametrize(
    ("status", "url", "note"),
    [
        (400, "http://img.example/a%zz.png", "malformed"),
        (400, "http://img.example/a%", "malformed"),
        (400, "http://img.example/a%2", "malformed"),
        (400, "http://img.example/a%%32", "malformed"),
        (400, "http://img.example/a%25zz.png", "odd_status"),
        (400, "http://img.example/a.png?x=%zz", "odd_status"),
        (404, "http://img.example/a%zz.png", ""),
        (500, "http://img.example/a%zz.png", "server_error"),
    ],
)
def test_refused_spelling_is_no_proof_alone(status: int, url: str, note: str) -> None:
    judged = judge(read_answer(status, {}), target(), requested_url=url)
    assert (judged.verdict is Seen.GONE, judged.note) == (status == 404, note)


def test_forbidden_is_gone_while_we_deny() -> None:
    assert seen(403, denying=True) == ("gone", "denied_by_us")


SIZE, ETAG = {"expected_size": 7}, {"expected_etag": "x"}
HTML = {"content-type": "text/html; charset=utf-8"}
CONTENT = [
    ("same_length", 200, {**IMAGE, "content-length": "7"}, SIZE, "up"),
    ("same_total", 206, {**IMAGE, "content-range": "bytes 0-0/7", "content-length": "1"}, SIZE, "up"),
    ("part_is_not_length", 206, {**IMAGE, "content-length": "1"}, {"expected_size": 1}, "up"),
    ("same_etag_other_length", 200, {"etag": '"x"', "content-length": "9"}, SIZE | ETAG, "up"),
    ("weak_etag", 200, {"etag": 'W/"x"'}, {"expected_etag": '"x"'}, "up"),
    ("other_length", 200, {**IMAGE, "content-length": "8"}, SIZE, "replaced"),
    ("other_total", 206, {**IMAGE, "content-range": "bytes 0-0/8"}, SIZE, "replaced"),
    ("other_etag", 200, {**IMAGE, "etag": '"y"'}, ETAG, "replaced"),
    ("nothing_known", 200, IMAGE, {}, "up"),
    ("nothing_told", 200, IMAGE, SIZE | ETAG, "up"),
    ("unknown_total", 206, {**IMAGE, "content-range": "bytes 0-0/*"}, SIZE, "up"),
    ("compressed_length", 200, {**IMAGE, "content-encoding": "gzip", "content-length": "5"}, SIZE, "up"),
    ("page_instead", 200, {**HTML, "content-length": "8"}, SIZE, "inconclusive"),
    ("xhtml_instead", 200, {"content-type": "Application/XHTML+xml"}, {}, "inconclusive"),
    ("page_of_same_length", 200, {**HTML, "content-length": "7"}, SIZE, "up"),
    ("expected_page", 200, HTML, {"expects_page": True}, "up"),
    ("empty_object", 416, {"content-range": "bytes */0"}, {"expected_size": 0}, "up"),
    ("range_refused", 416, {"content-range": "bytes */9"}, SIZE, "inconclusive"),
]


@pytest.mark.parametrize(
    ("status", "headers", "known", "verdict"), [case[1:] for case in CONTENT], ids=[case[0] for case in CONTENT]
)
def test_content_is_compared(status: int, headers: dict[str, str], known: dict[str, object], verdict: str) -> None:
    assert seen(status, headers, **known)[0] == verdict


@pytest.mark.parametrize(
    ("location", "note", "host"),
    [
        ("https://img.example/a.jpg", TO_HTTPS, "img.example"),
        ("https://img.example/b.jpg", "moved", "img.example"),
        ("https://img.example/a.jpg?x", "moved", "img.example"),
        ("https://www.img.example/a.jpg", "moved", "www.img.example"),
        ("//cdn.example/a.jpg", "moved", "cdn.example"),
        ("/b.jpg", "moved", "img.example"),
        ("b.jpg", "moved", "img.example"),
        ("http://user:secret@evil.example/x", "moved", "evil.example"),
        ("http://[", "moved", None),
        ("javascript:alert(1)", "moved", None),
        ("http://<script>/", "moved", "_script_"),
    ],
)
def test_redirect_is_noted_not_followed(location: str, note: str, host: str | None) -> None:
    judged = judge(read_answer(302, {"location": location}), target(), requested_url=URL)
    assert (judged.verdict, judged.note, judged.location_host) == (Seen.INCONCLUSIVE, note, host)


def test_edge_is_cut_to_harmless_text() -> None:
    headers = {"via": "1.1 <b>varnish</b>", "cf-ray": "8a-LHR", "x-cache": "HIT", "x-served-by": "a" * 300}
    edge = edge_name(headers)
    assert len(edge) == 128
    assert edge_name({"via": headers["via"], "cf-ray": "8a-LHR"}) == "cf-ray=8a-LHR; via=1.1 _b_varnish__b_"
    assert edge_name({}) == ""


@given(
    status=st.integers(100, 999),
    headers=st.dictionaries(
        st.sampled_from(["etag", "content-length", "content-range", "age", "content-type", "location", "via"]),
        st.text(),
    ),
)
def test_any_answer_can_be_judged(status: int, headers: dict[str, str]) -> None:
    judged = judge(read_answer(status, headers), target(expected_size=7), requested_url=URL)
    assert (judged.verdict is Seen.GONE) == (status in (404, 410, 451))


def look(verdict: str, note: str = "", kind: LookKind = LookKind.EXACT) -> Look:
    return Look(address="", status=None, at=0, vantage="", verdict=Seen(verdict), note=note, kind=kind)


GONE, UP, UNCLEAR = look("gone"), look("up"), look("inconclusive", "timeout")
MOVED_TO_HTTPS = look("inconclusive", TO_HTTPS)
REFUSED = look("inconclusive", MALFORMED)
SPELLED_GONE = look("gone", kind=LookKind.SPELLING)
ELSEWHERE = replace(SPELLED_GONE, address="192.0.2.7:80")
NO_IPV6 = look("inconclusive", NO_ROUTE)


def other_scheme(verdict: str, note: str = "") -> Look:
    return look(verdict, note, LookKind.SCHEME)


COMBINED = [
    ("nothing", [], "inconclusive"),
    ("all_gone", [GONE, GONE], "gone"),
    ("one_up", [GONE, UP], "up"),
    ("up_beats_unclear", [UNCLEAR, UP], "up"),
    ("replaced", [GONE, look("replaced")], "up"),
    ("one_unclear", [GONE, UNCLEAR], "inconclusive"),
    ("referrer_up", [GONE, look("up", kind=LookKind.REFERRER)], "up"),
    ("gzip_unclear", [GONE, look("inconclusive", kind=LookKind.GZIP)], "inconclusive"),
    ("spelling_up", [GONE, look("up", kind=LookKind.SPELLING)], "up"),
    ("no_ipv6_here", [GONE, NO_IPV6], "gone"),
    ("only_no_ipv6", [NO_IPV6], "inconclusive"),
    ("other_scheme_closed", [GONE, other_scheme("inconclusive", "connect")], "gone"),
    ("other_scheme_moved", [GONE, other_scheme("inconclusive", "moved")], "gone"),
    ("other_scheme_up", [GONE, other_scheme("up")], "up"),
    ("to_https_and_gone", [MOVED_TO_HTTPS, other_scheme("gone")], "gone"),
    ("to_https_unclear", [MOVED_TO_HTTPS, other_scheme("inconclusive", "tls")], "inconclusive"),
    ("to_https_partly_unclear", [MOVED_TO_HTTPS, other_scheme("gone"), other_scheme("inconclusive")], "inconclusive"),
    ("to_https_not_looked", [MOVED_TO_HTTPS], "inconclusive"),
    ("to_https_up", [MOVED_TO_HTTPS, other_scheme("up")], "up"),
    ("only_other_scheme", [other_scheme("gone")], "inconclusive"),
    ("moved", [look("inconclusive", "moved")], "inconclusive"),
    ("refused_and_spelled_gone", [REFUSED, SPELLED_GONE], "gone"),
    ("refused_alone", [REFUSED], "inconclusive"),
    ("refused_here_spelled_elsewhere", [REFUSED, ELSEWHERE], "inconclusive"),
    ("refused_spelled_up", [REFUSED, look("up", kind=LookKind.SPELLING)], "up"),
    ("refused_spelled_unclear", [REFUSED, look("inconclusive", kind=LookKind.SPELLING)], "inconclusive"),
    ("refused_here_served_there", [REFUSED, SPELLED_GONE, UP], "up"),
    ("refused_here_unclear_there", [REFUSED, SPELLED_GONE, UNCLEAR], "inconclusive"),
]


@pytest.mark.parametrize(("looks", "verdict"), [case[1:] for case in COMBINED], ids=[case[0] for case in COMBINED])
def test_looks_combine(looks: list[Look], verdict: str) -> None:
    assert combine(looks) == Verdict(verdict)
