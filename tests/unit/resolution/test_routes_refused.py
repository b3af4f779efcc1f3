"""Mistakes in routes are named together, and a reload is seen whole or not at all."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.resolution.routes import Route, RoutesRefusedError
from receiver.resolution.urls import UrlRefusedError
from tests.support import calls_of
from tests.unit.resolution.routing import table, to, who


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (to("c", "IMG.example"), "lower-case"),
        (to("c", "bücher.example"), "xn--"),
        (to("c", "*.*.example"), "lower-case"),
        (to("c", "*"), "lower-case"),
        (to("c", "a.*.example"), "lower-case"),
        (to("c", "*.0.0.1"), "lower-case"),
        (to("c", "0x7f.1"), "lower-case"),
        (to("c", "img.example:80"), "lower-case"),
        (to("c", "img.example."), "lower-case"),
        (to("c", "2001:0DB8::1"), "lower-case"),
        (to("c", path="a"), "start with /"),
        (to("c", path="/a/../b"), "segment"),
        (to("c", path="/a//b"), "merge_slashes"),
        (to("c", key="acme"), "once"),
        (to("c", key="{path}{path}"), "once"),
        (to("c", key="{path}{rest}"), "once"),
        (to("c", key="{path}{secret}"), "braces"),
        (to("c", key="{path}{"), "braces"),
        (to("c", key="{}{path}"), "braces"),
        (to("c", key="{sub}{path}"), "{sub}"),
        (to("c", key="../other{path}"), "segment"),
        (to("c", key="a/..{path}"), "segment"),
        (to("c", "*.example", aliases=("b.example",)), "aliases"),
        (to("c", aliases=("*.example",)), "aliases"),
        (to("c", aliases=("img.example",)), "two routes"),
        (Route(host="img.example", customer="c", storage="www"), "together"),
        (Route(host="img.example", customer="c", key="{path}"), "together"),
    ],
)
def test_mistake_in_route_is_named(route: Route, words: str) -> None:
    with pytest.raises(RoutesRefusedError, match="mistake") as caught:
        table(route)
    assert any(words in problem for problem in caught.value.problems)


def test_all_mistakes_come_together() -> None:
    with pytest.raises(RoutesRefusedError) as caught:
        table(to("c", "A"), to("c", key="x"), to("c", path="/y"), to("d", path="/y"))
    assert len(caught.value.problems) == 3


def test_bad_reload_keeps_old_routes() -> None:
    found = table(to("old"))
    with pytest.raises(RoutesRefusedError):
        found.replace([to("new"), to("new")])
    assert (found.generation, who(found.lookup("img.example", b"/"))) == (1, "old")
    assert found.replace([to("new")]) == 2
    assert (found.generation, who(found.lookup("img.example", b"/"))) == (2, "new")


def test_reload_is_seen_whole() -> None:
    """Both hosts always belong to the same generation of routes, whoever reads while they change."""
    found = table(to("0", "a.example"))
    stop = threading.Event()

    def reload() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            found.replace([to(str(number), "a.example", path) for path in ("/", "/x")])

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        for _ in range(3000):
            before = found.generation
            hit = found.lookup("a.example", b"/x/y")
            assert hit is not None
            assert before - 1 <= int(hit.customer) <= found.generation - 1
    finally:
        stop.set()
        thread.join()


def test_lookup_does_not_grow_with_hosts() -> None:
    few, many = (table(*(to("c", f"h{n}.example") for n in range(count))) for count in (10, 50_000))
    for host, found in (("h9.example", True), ("none.other", False)):
        assert (many.lookup(host, b"/a/b/c.jpg") is not None) == found
        first, second = (calls_of(partial(one.lookup, host, b"/a/b/c.jpg")) for one in (few, many))
        assert 0 < first == second


@given(path=st.binary(max_size=40).map(b"/".__add__), merge=st.booleans())
def test_locator_never_leaves_scope(path: bytes, merge: bool) -> None:
    found = table(to("acme", key="sites/acme{path}", merge_slashes=merge))
    try:
        hit = found.lookup("img.example", path)
    except UrlRefusedError:
        assert {b".", b".."} & set(path.split(b"/"))
        return
    assert hit is not None
    assert hit.ref is not None
    assert hit.ref.locator.startswith(hit.ref.scope + b"/")
    assert b".." not in hit.ref.locator.split(b"/")


@given(
    prefixes=st.lists(st.lists(st.sampled_from("ab"), max_size=4).map(lambda p: "/" + "/".join(p)), unique=True),
    path=st.lists(st.sampled_from("ab"), max_size=6).map(lambda p: ("/" + "/".join(p)).encode()),
)
def test_prefix_choice_equals_plain_search(prefixes: list[str], path: bytes) -> None:
    found = table(*(to(p, path=p) for p in prefixes))
    fits = [p for p in prefixes if path == p.encode() or path.startswith(p.rstrip("/").encode() + b"/")]
    assert who(found.lookup("img.example", path)) == max(fits, key=len, default=None)
