from __future__ import annotations

import pytest

from receiver.resolution.protection import Protected, is_program, is_protected
from receiver.resolution.urls import canonical_url

LISTED = [Protected.parse("https://www.host.example/"), Protected.parse("http://img.example/admin")]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://www.host.example/a.jpg", "protected_prefix"),
        ("https://www.host.example:8443/", "protected_prefix"),
        ("https://img.example/admin", "protected_prefix"),
        ("https://img.example/admin/a.jpg", "protected_prefix"),
        ("https://img.example//admin//a.jpg", "protected_prefix"),
        ("https://img.example/Admin/a.jpg", "protected_prefix"),
        ("https://img.example/%61dmin/a.jpg", "protected_prefix"),
        ("https://img.example/administrators/a.jpg", None),
        ("https://host.example/a.jpg", None),
        ("https://img.example", "front_page"),
        ("https://img.example/?id=7", "front_page"),
        ("https://img.example//", "front_page"),
        ("https://img.example/a/", "index"),
        ("https://img.example/index.html", "index"),
        ("https://img.example/a/INDEX.PHP?id=7", "index"),
        ("https://img.example/a/index", "index"),
        ("https://img.example/default.aspx", "index"),
        ("https://img.example/index.jpg", None),
        ("https://img.example/index.html.jpg", None),
        ("https://img.example/site.css", "shared_asset"),
        ("https://img.example/site.JS?v=3", "shared_asset"),
        ("https://img.example/favicon.ico", "shared_asset"),
        ("https://img.example/a/robots.txt", "shared_asset"),
        ("https://img.example/a/.htaccess", "shared_asset"),
        ("https://img.example/a/b.jpg", None),
        ("https://img.example/gallery.php?id=7", None),
        ("https://img.example/css", None),
    ],
)
def test_shared_things_wait_for_people(url: str, reason: str | None) -> None:
    assert is_protected(canonical_url(url), LISTED) == reason


def test_shared_suffixes_are_the_operators() -> None:
    url = canonical_url("https://img.example/banner.svg")
    assert is_protected(url, []) is None
    assert is_protected(url, [], shared_suffixes=(".svg",)) == "shared_asset"
    assert is_protected(url, [], shared_names=("banner.svg",)) == "shared_asset"


@pytest.mark.parametrize(
    "prefix", ["www.host.example/", "https://u@host.example/", "https://host.example/?a", "ftp://h/"]
)
def test_bad_prefix_is_a_mistake(prefix: str) -> None:
    with pytest.raises(ValueError, match="protected prefix"):
        Protected.parse(prefix)


@pytest.mark.parametrize(
    ("url", "program"),
    [("http://h.example/gallery.PHP?id=7", True), ("http://h.example/a.jpg", False), ("http://h.example/php", False)],
)
def test_program_is_known_by_suffix(url: str, program: bool) -> None:
    assert is_program(canonical_url(url)) is program
