"""Whoever stole an issuer's key tries to take down as much as possible; the settings say how far that goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.store import SqlStore
from tests.doubles import databases
from tests.doubles.siege import SITE, TEST_HOST, Siege, make_siege, put
from tests.doubles.world import HOST
from tests.faults.scale import TORTURE

database, store = databases.database, databases.store
postgres_server, postgres_template = databases.postgres_server, databases.postgres_template
sqlite_database, sqlite_template = databases.sqlite_database, databases.sqlite_template

LIMIT, CUSTOMERS = 20, 10
ITEMS = 250 if TORTURE else 30
NOTICES = 8 if TORTURE else 2


@pytest.fixture
def siege(store: SqlStore, tmp_path: Path) -> Siege:
    return make_siege(tmp_path, store, acts=LIMIT, customers=CUSTOMERS)


@pytest.fixture
def quick(sqlite_database: databases.Database, tmp_path: Path) -> Iterator[Siege]:
    opened = sqlite_database.open()
    yield make_siege(tmp_path, opened, acts=LIMIT, customers=CUSTOMERS)
    opened.close()


def shop(siege: Siege, count: int, word: str = "p") -> list[str]:
    return [put(siege, SITE, f"/{word}/{n}.jpg", f"noise {word} {n}".encode()) for n in range(count)]


def test_thousands_of_items_stop_at_the_limit(siege: Siege) -> None:
    notices = [siege.send(*shop(siege, ITEMS, f"n{n}")) for n in range(NOTICES)]
    siege.world.run(steps=5000)
    assert siege.down() == LIMIT
    told = [said for notice in notices for said in siege.told(notice)]
    assert told.count(("disabled", None)) == LIMIT
    assert told.count(("review", "over_limit_acts")) == NOTICES * ITEMS - LIMIT
    assert siege.pages()["issuer.over_limit"] == "hotline"


def test_spreading_over_customers_stops_earlier(siege: Siege) -> None:
    urls = [put(siege, f"c{n}.example.net", "/a.jpg", f"noise {n}".encode()) for n in range(40)]
    notice = siege.send(*urls)
    siege.world.run(steps=2000)
    assert siege.down() == CUSTOMERS
    assert siege.told(notice).count(("review", "over_limit_customers")) == 40 - CUSTOMERS
    assert siege.pages()["issuer.over_limit"] == "hotline"


def test_window_slides_and_never_doubles(quick: Siege) -> None:
    """Across midnight, across the hour, in small portions: no sixty minutes see more than the limit."""
    acts: list[tuple[int, int]] = []
    for minute in range(0, 200, 10):
        before = quick.down()
        quick.send(*shop(quick, 5, f"w{minute}"))
        quick.world.run(steps=2000)
        acts.append((minute, quick.down() - before))
        quick.world.later(minutes=10)
    totals = [sum(count for at, count in acts if start <= at < start + 60) for start, _ in acts]
    assert max(totals) == LIMIT
    assert quick.down() > 2 * LIMIT


def test_restart_forgets_no_limit(quick: Siege) -> None:
    for n in range(4):
        quick.send(*shop(quick, 10, f"r{n}"))
        quick.world.run(steps=2000)
        quick.world.reboot()
    assert quick.down() == LIMIT


def test_one_url_in_many_notices_counts_each_time(quick: Siege) -> None:
    """A thief cannot hide acts behind repeats, and repeats never make a second act."""
    (url,) = shop(quick, 1)
    notices = [quick.send(url) for _ in range(LIMIT + 5)]
    quick.world.run(steps=2000)
    assert quick.down() == 1
    assert len(quick.world.memory.blocks) == 1
    assert [quick.told(notice)[0][1] for notice in notices].count("over_limit_acts") == 5


def test_shadow_and_test_notices_stay_in_bounds(quick: Siege) -> None:
    quick.send(*shop(quick, 30, "s"), category="ncii")
    quick.send(*shop(quick, 30, "t"), category="test", kind="test")
    quick.world.run(steps=2000)
    assert quick.down() == 0
    ours = [put(quick, TEST_HOST, f"/{n}.jpg", f"noise {n}".encode()) for n in range(LIMIT + 5)]
    quick.send(*ours, category="test", kind="test")
    quick.world.run(steps=2000)
    assert quick.down() == LIMIT


def test_a_thief_spends_nobody_elses_limit(quick: Siege) -> None:
    quick.send(*shop(quick, 2 * LIMIT))
    quick.world.run(steps=2000)
    notice = quick.send(put(quick, HOST, "/real.jpg"), issuer="other")
    quick.world.run()
    assert quick.told(notice, "other") == [("disabled", None)]


PROTECTED = (
    "https://www.host.example/anything",
    "https://WWW.HOST.EXAMPLE:8443//status",
    "https://www.host.example./",
    f"https://{SITE}/",
    f"https://{SITE}//",
    f"https://{SITE}/?page=2",
    f"https://{SITE}/shop/",
    f"https://{SITE}/%69ndex.html",
    f"https://{SITE}/Index.PHP",
    f"https://{SITE}/a/../",
    f"https://{SITE}/a/%2e%2e/index.html",
    f"https://{SITE}/static/app.js",
    f"https://{SITE}/static/App.CSS?v=3",
    f"https://{SITE}/favicon.ico",
    f"https://{SITE}/robots.txt",
    f"https://{SITE}/account/login",
    f"https://{SITE}/ACCOUNT/login?next=1",
)


@pytest.mark.parametrize("url", PROTECTED)
def test_protected_places_need_a_person(quick: Siege, url: str) -> None:
    quick.world.rebuild(protected=("https://www.host.example/", f"https://{SITE}/account/"))
    quick.world.memory.write_as_customer(b"shop/index.html", b"front")
    notice = quick.send(url)
    quick.world.run()
    ((status, _),) = quick.told(notice)
    assert status in ("review", "needs_information")
    assert quick.down() == 0


WIDE = (
    f"https://{SITE}/*",
    f"https://{SITE}/p/*.jpg",
    f"https://{SITE}/p/%2A",
    f"https://{SITE}/p",
    f"https://{SITE}/p/?",
    f"https://{SITE}/p/..;/",
    f"https://{SITE}/p/.*",
    f"https://{SITE}/p/[0-9].jpg",
    "https://*.example.net/p/1.jpg",
    "https://example.net/",
    "https://victim.example.com/",
    "https://nobody.invalid/p/1.jpg",
    "https://10.0.0.1/",
    "https://[::1]/",
    "https://2130706433/",
)


@pytest.mark.parametrize("url", WIDE)
def test_patterns_and_strangers_hit_nothing_else(quick: Siege, url: str) -> None:
    there = shop(quick, 3)
    notice = quick.send(url)
    quick.world.run()
    assert quick.told(notice)[0][0] != "disabled" or not quick.world.memory.blocks
    assert not quick.world.memory.blocks
    for rule in quick.denied():
        assert not any(one.endswith(rule.path.decode()) for one in there)


def test_denied_page_leaves_its_neighbours(quick: Siege) -> None:
    put(quick, SITE, "/gallery.php", b"program")
    notice = quick.send(f"https://{SITE}/gallery.php?id=7", f"https://{SITE}/gallery.php?")
    quick.world.run()
    assert {status for status, _ in quick.told(notice)} <= {"disabled", "review", "failed", "unavailable"}
    refuses = quick.world.gate.refuses
    assert refuses(SITE, b"/gallery.php?id=7")
    assert not quick.world.memory.blocks
    for near in (b"/gallery.php?id=70", b"/gallery.php?id=8", b"/gallery.php?id=7&x=1", b"/gallery.php/id", b"/"):
        assert not refuses(SITE, near), near


def test_shared_bytes_are_never_blocked_for_all(quick: Siege) -> None:
    """One blob behind many customers' names: the notified URL is denied, the blob stays for the others."""
    url = put(quick, SITE, "/shared.jpg")
    for n in range(5):
        quick.world.memory.link_as_customer(b"shop/shared.jpg", f"c{n}/shared.jpg".encode())
    notice = quick.send(url)
    quick.world.run()
    assert quick.told(notice) == [("review", "shared")]
    assert not quick.world.memory.blocks
    assert {(rule.host, rule.path) for rule in quick.denied()} == {(SITE, b"/shared.jpg")}
