from __future__ import annotations

import pytest

from adapters.contract import DirectoryHit
from receiver.resolution.routes import Route
from receiver.resolution.urls import UrlRefusedError, canonical_url
from tests.unit.resolution.routing import table, to, who


def locator(hit: DirectoryHit | None) -> bytes:
    assert hit is not None
    assert hit.ref is not None
    return hit.ref.locator


HOSTS = table(
    to("exact", "a.img.example"),
    to("short", "*.example"),
    to("long", "*.img.example"),
    to("top", "img.example", "/only"),
)


@pytest.mark.parametrize(
    ("host", "customer"),
    [
        ("a.img.example", "exact"),
        ("b.img.example", "long"),
        ("x.y.img.example", "long"),
        ("x.a.img.example", "long"),
        ("other.example", "short"),
        ("example", None),
        ("img.example", None),
        ("bimg.example", "short"),
        ("example.evil", None),
        ("a.img.example.evil", None),
        ("", None),
    ],
)
def test_most_exact_host_wins(host: str, customer: str | None) -> None:
    assert who(HOSTS.lookup(host, b"/x")) == customer


PATHS = table(
    to("root"),
    to("a", path="/a"),
    to("ab", path="/a/b"),
    to("folder", path="/f/"),
    to("utf8", path="/ü"),
    to("deep", path="/a/b/c/d/"),
)


@pytest.mark.parametrize(
    ("path", "customer"),
    [
        (b"/", "root"),
        (b"/x", "root"),
        (b"/a", "a"),
        (b"/a/", "a"),
        (b"/a/x", "a"),
        (b"/ab", "root"),
        (b"/A", "root"),
        (b"/a/b", "ab"),
        (b"/a/b.jpg", "a"),
        (b"/a/b/x", "ab"),
        (b"/a/bb", "a"),
        (b"/f", "root"),
        (b"/f/", "folder"),
        (b"/f/x", "folder"),
        (b"//a//b//x", "ab"),
        (b"/a/b/c/d", "ab"),
        (b"/a/b/c/d/e/f/g", "deep"),
        ("/ü/x".encode(), "utf8"),
        ("/u\u0308/x".encode(), "root"),
        (b"/\xfc/x", "root"),
    ],
)
def test_longest_prefix_ends_at_slash(path: bytes, customer: str) -> None:
    assert who(PATHS.lookup("img.example", path)) == customer


def test_own_routes_shut_out_wildcard() -> None:
    found = table(to("own", "a.example", "/x"), to("wild", "*.example"))
    assert found.lookup("a.example", b"/y") is None
    assert who(found.lookup("b.example", b"/y")) == "wild"


def test_address_matches_itself_only() -> None:
    found = table(to("wild", "*.example"), to("ip", "192.0.2.7"), to("six", "2001:db8::7"))
    assert who(found.resolve(canonical_url("http://192.0.2.7/a"))) == "ip"
    assert who(found.resolve(canonical_url("http://[2001:DB8::7]:81/a"))) == "six"
    assert found.resolve(canonical_url("http://192.0.2.8/a")) is None


@pytest.mark.parametrize(
    ("key", "host", "prefix", "path", "want", "scope"),
    [
        ("acme/public{path}", "img.example", "/", b"/a/b", b"acme/public/a/b", b"acme"),
        ("other/public{path}", "img.example", "/", b"/a", b"other/public/a", b"other/public"),
        ("sites/acme{path}", "img.example", "/", b"/a", b"sites/acme/a", b"sites/acme"),
        ("acme{path}", "img.example", "/", b"/a", b"acme/a", b"acme"),
        ("{path}", "img.example", "/", b"/a/b", b"a/b", b""),
        ("bucket/{path}", "img.example", "/", b"/a", b"bucket/a", b"bucket"),
        ("acme{rest}", "img.example", "/files", b"/files/a", b"acme/a", b"acme"),
        ("acme{rest}", "img.example", "/files/", b"/files/a", b"acme/a", b"acme"),
        ("{rest}", "img.example", "/files", b"/files/a", b"a", b""),
        ("sites/{host}/htdocs{path}", "*.example", "/", b"/a", b"sites/x.y.example/htdocs/a", b"sites/x.y.example"),
        ("sites/{sub}{path}", "*.example", "/", b"/a", b"sites/x.y/a", b"sites/x.y"),
        ("acme/public{path}.orig", "img.example", "/", b"/a", b"acme/public/a.orig", b"acme"),
        ("acme/public{path}", "img.example", "/", b"/\xff\n:{host} -", b"acme/public/\xff\n:{host} -", b"acme"),
    ],
)
def test_key_gives_locator_and_scope(key: str, host: str, prefix: str, path: bytes, want: bytes, scope: bytes) -> None:
    hit = table(to("acme", host, prefix, key)).lookup("x.y.example" if "*" in host else host, path)
    assert hit is not None
    assert hit.ref is not None
    assert (hit.ref.locator, hit.ref.scope) == (want, scope)


def test_slashes_merge_unless_told() -> None:
    found = table(to("folder", "a.example"), to("bucket", "b.example", key="{path}", merge_slashes=False))
    assert locator(found.lookup("a.example", b"//a///b")) == b"acme/public/a/b"
    assert locator(found.lookup("b.example", b"//a///b")) == b"/a///b"


def test_merging_and_exact_routes_share_host() -> None:
    found = table(to("folder"), to("bucket", path="/s3", key="{rest}", merge_slashes=False))
    assert who(found.lookup("img.example", b"//s3/a")) == "folder"
    assert locator(found.lookup("img.example", b"/s3//a")) == b"/a"


@pytest.mark.parametrize(
    "path",
    [b"/..", b"/a/..", b"/../a", b"/a/../b", b"/./a", b"/a/.", b"//../a"],
)
def test_dot_segments_are_refused(path: bytes) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        PATHS.lookup("img.example", path)
    assert caught.value.reason == "ambiguous_path"


@pytest.mark.parametrize(
    "path",
    ["..%2fsecret", "%2e%2e%2fsecret", "a%2f..%2f..%2fsecret", "a%2Fb", "%2e%2e/..%2fx", "a/%2fb", "%2F"],
)
def test_encoded_slash_never_guesses_file(path: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        PATHS.resolve(canonical_url(f"http://img.example/{path}"))
    assert caught.value.reason == "ambiguous_path"


def test_encoded_slash_passes_without_storage() -> None:
    found = table(Route(host="img.example", customer="acme", gates=("nginx",)))
    hit = found.resolve(canonical_url("http://img.example/a%2Fb"))
    assert hit is not None
    assert (hit.ref, hit.adapter, hit.gates) == (None, None, ("nginx",))


@pytest.mark.parametrize(
    ("path", "want"),
    [
        (b"/...", b"acme/public/..."),
        (b"/..a", b"acme/public/..a"),
        (b"/a..", b"acme/public/a.."),
        (b"/%2e%2e/a", b"acme/public/%2e%2e/a"),
        (b"/a\\..\\b", b"acme/public/a\\..\\b"),
        (b"/.hidden", b"acme/public/.hidden"),
        (b"/" + b"a" * 300, b"acme/public/" + b"a" * 300),
    ],
)
def test_odd_names_stay_data(path: bytes, want: bytes) -> None:
    assert locator(table(to("acme")).lookup("img.example", path)) == want


def test_hit_carries_route_settings() -> None:
    route = to("acme", caches=("edge",), gates=("nginx",), look_at=("127.0.0.1:80",), aliases=("www.example",))
    hit = table(route).lookup("www.example", b"/a")
    assert hit is not None
    assert (hit.adapter, hit.caches, hit.gates, hit.look_at) == ("www", ("edge",), ("nginx",), ("127.0.0.1:80",))
    assert hit.aliases == ("img.example",)
    assert hit.source == "route img.example/"


def test_alias_keeps_host_of_route() -> None:
    found = table(to("acme", key="sites/{host}{path}", aliases=("www.example",)))
    assert locator(found.lookup("www.example", b"/a")) == b"sites/img.example/a"
