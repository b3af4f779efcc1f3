"""The keys of a URL in Varnish, decided without I/O."""

from __future__ import annotations

import re

import pytest

from adapters.contract import AdapterError, CacheHints
from adapters.varnish.adapter import VarnishCache
from adapters.varnish.settings import VarnishSettings
from adapters.varnish.variants import any_spelling, keys_for


def purges(url: str, hints: CacheHints | None = None, hosts: tuple[str, ...] = ()) -> set[tuple[str, str]]:
    keys = keys_for(url, hints or CacheHints(), hosts=hosts, ban_header="")
    return {(dict(key.headers)["Host"], key.value) for key in keys}


def test_scheme_port_and_case_do_not_count() -> None:
    wanted = {("a.example", "/x.jpg")}
    for url in ("http://a.example/x.jpg", "https://A.EXAMPLE:443/x.jpg#f", "http://user:pw@a.example:80/x.jpg"):
        assert purges(url) == wanted


def test_other_port_stays_in_host() -> None:
    assert purges("http://a.example:8080/x.jpg") == {("a.example:8080", "/x.jpg")}


def test_query_goes_with_and_without() -> None:
    assert purges("http://a.example/x?b=1", CacheHints(queries=("c=2",))) == {
        ("a.example", "/x"), ("a.example", "/x?b=1"), ("a.example", "/x?c=2")}  # fmt: skip


def test_raw_spelling_is_kept_byte_for_byte() -> None:
    found = purges("http://a.example/z.jpg", CacheHints(raw_urls=("http://a.example/d/../%7a.jpg?",)))
    assert {("a.example", "/d/../%7a.jpg"), ("a.example", "/d/../%7a.jpg?"), ("a.example", "/z.jpg")} <= found


def test_unicode_and_blanks_go_as_browsers_send_them() -> None:
    found = purges("http://a.example/%C3%A9%20b.jpg", CacheHints(raw_urls=("http://fa\u00df.example/\u00e9 b.jpg",)))
    assert ("a.example", "/%C3%A9%20b.jpg") in found
    assert ("xn--fa-hia.example", "/%C3%A9%20b.jpg") in found
    assert all((host + target).isascii() and " " not in target for host, target in found)


def test_aliases_and_hosts_join() -> None:
    found = purges("http://a.example/x", CacheHints(aliases=("B.example",)), hosts=("inner:8080",))
    assert {host for host, _ in found} == {"a.example", "b.example", "inner:8080"}


def test_crlf_cannot_leave_the_line() -> None:
    keys = keys_for("http://a.example/x%0d%0aX-Y:%20z", CacheHints(raw_urls=("http://a.example/x\r\nX-Y: z",)),
                    hosts=(), ban_header="X-Ban")  # fmt: skip
    assert not any(char in text for key in keys for text in (key.value, *map("".join, key.headers)) for char in "\r\n ")


@pytest.mark.parametrize("path", [b'/a b".jpg', b"/\\^]&&||", b"/\xff\x00\n", b"/" + b"a" * 5000, "/é#?".encode()])
def test_ban_cannot_be_escaped_from(path: bytes) -> None:
    pattern = any_spelling(path)
    assert pattern.isascii()
    assert not re.search(r"[\s\"\\]", pattern)
    assert len(pattern) < 8000


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("/d/z.jpg", True),
        ("/d/z.jpg?", True),
        ("/d/z.jpg?a=b", True),
        ("//d/./z.jpg", True),
        ("/d/%7A%2ejpg", True),
        ("/%64/z.jpg", True),
        ("/d/z.jpg.bak", False),
        ("/d/zxjpg", False),
        ("/x/d/z.jpg", False),
        ("/d/Z.jpg", False),
        ("/dz.jpg", False),
    ],
)
def test_ban_means_this_path_alone(target: str, meant: bool) -> None:
    assert bool(re.search(any_spelling(b"/d/z.jpg"), target)) is meant


def test_no_url_is_an_error_without_it() -> None:
    with pytest.raises(AdapterError) as caught:
        VarnishCache(VarnishSettings(url="http://127.0.0.1:6081")).variants("secret", CacheHints())
    assert "secret" not in str(caught.value)
