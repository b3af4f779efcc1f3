"""The dry run names what would be touched, and touches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.steps.explain import explain
from tests.doubles.make_world import make_world
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def test_acts_are_named_in_order(world: World) -> None:
    url = world.put("/a.jpg", b"field")
    told = explain(url, world.tools)
    assert told.acts == (
        "deny the URL at gate edge",
        "block 1 name(s) at www",
        "seal the bytes",
        "purge cache cache",
        "look from outside until it is gone",
    )
    assert (told.facts["customer"], told.facts["locator"]) == ("acme", "acme/a.jpg")
    assert world.public_get(url) == b"field"


def test_other_customers_names_are_shown(world: World) -> None:
    url = world.put("/a.jpg", b"field")
    world.memory.link_as_customer(b"acme/a.jpg", b"other/b.jpg")
    told = explain(url, world.tools)
    assert told.facts["other_customers_names"] == ["other/b.jpg"]
    assert told.acts[-1] == "ask a person first: shared"


@pytest.mark.parametrize(
    ("url", "act"),
    [
        ("https://x.example/a.jpg", "nothing: the issuer hears not_hosted"),
        ("javascript:1", "nothing: the URL is not exact enough to act on"),
        ("https://img.example.net/", "ask a person first: front_page"),
        ("https://gate.example.net/g.php?id=7", "look from outside until it is gone"),
        ("https://img.example.net/none.jpg", "look from outside until it is gone"),
    ],
)
def test_every_url_gets_an_answer(world: World, url: str, act: str) -> None:
    assert explain(url, world.tools).acts[-1] == act


def test_canonical_form_cannot_be_clicked(world: World) -> None:
    told = explain("HTTPS://IMG.Example.net:443/a/../b.jpg", world.tools)
    assert told.facts["canonical"] == "hxxps://img[.]example[.]net:443/b.jpg"
