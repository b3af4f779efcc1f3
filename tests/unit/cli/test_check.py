"""`check` finds each thing that can be wrong, says what to do, and goes on."""

from __future__ import annotations

import ast
import datetime as dt
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from receiver.cli.check import PARTS, Part, findings_of
from receiver.cli.checks import database as db_checks
from receiver.cli.checks import keys, rules
from receiver.cli.checks.document import DOCUMENT, document
from receiver.cli.checks.known import KNOWN
from receiver.cli.findings import Finding, Level, fail, measured_words, ok
from receiver.config import Config
from receiver.config.reference import document as settings_document
from tests.doubles.check_answers import answers, config_of, only
from tests.support import need_root, nobody
from tests.unit.cli.conftest import Typed

ROOT = Path(__file__).parents[3]
ISSUER = '[[issuers]]\nid = "{name}"\nkeys_file = "keys/{name}.json"\ncategories = {{ csam = "act" }}\n'
ROUTE = '[[routes]]\nhost = "img.example.net"\ncustomer = "acme"\nstorage = "www"\nkey = "acme{path}"\n'


# --- every id


def anchors() -> set[str]:
    lines = (line for line in settings_document().splitlines() if line.startswith("#"))
    return {re.sub(r"[^a-z0-9_-]", "", line.lstrip("#").strip().lower()) for line in lines}


@pytest.mark.parametrize("question", KNOWN)
def test_every_id_has_hint_and_anchor(question: str) -> None:
    found = fail(question, "x", "words")
    assert len(found.hint) > 10
    assert found.see.partition("#")[2] in anchors() | {""}
    assert KNOWN[question].setting or question in {"C00", "C01", "C02", "C03", "C04", "C10", "C11", "C12", "X01", "X02"}


def used_ids() -> set[str]:
    """Every id that stands in the code of the settings and of `check`, but for the table itself."""
    folders = (ROOT / "receiver" / "config", ROOT / "receiver" / "cli")
    tables = {"known.py", "document.py"}
    files = [path for folder in folders for path in folder.rglob("*.py") if path.name not in tables]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    words = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Z][0-9]{2}", word)}


def test_every_id_in_the_code_is_known() -> None:
    assert used_ids() == set(KNOWN)


def test_document_is_as_written_from_the_code() -> None:
    assert (ROOT / DOCUMENT).read_text(encoding="utf-8") == document(), "type: python -m receiver.cli.checks.document"


def test_units_stand_behind_what_was_measured() -> None:
    told: dict[str, float | str] = {
        "fsync_ms": 3.21,
        "free_bytes": 12 * 1024**3,
        "left_days": 9,
        "notes": 4,
        "version": "15",
    }
    assert measured_words(told) == "fsync 3.2 ms, free 12.0 GiB, left 9 days, 4 notes, version 15"


# --- the command


def test_lines_show_id_hint_and_place(database: Typed) -> None:
    (database.folder / "keys" / "response.pem").chmod(0o644)
    shown = database("check", code=3).output
    assert re.search(r"FAIL  C31 keys\.response_key_file: others than its owner .*\n +Type: chmod 600 .*"
                     r"\(see docs/settings\.md#keysresponse_key_file\)", shown)  # fmt: skip


def test_anchors_of_whatever_is_said_exist(database: Typed) -> None:
    with (database.folder / "config.toml").open("a") as file:
        file.write(ISSUER.format(name="iwf") + ROUTE + 'look_at = ["nowhere"]\n[gates."BAD NAME"]\ntype = "memory"\n')
    found = database.json("check", code=3)
    assert {entry["see"].partition("#")[2] for entry in found} <= anchors() | {""}
    assert all(entry["hint"] for entry in found if entry["level"] != "ok")


def test_mistakes_hide_only_what_rests_on_them(database: Typed) -> None:
    config = database.folder / "config.toml"
    config.write_text(config.read_text().replace("[ledger]", "[ledger]\ncopy_too = 3") + "[limits]\nmax_itmes = 1\n")
    (database.folder / "keys" / "response.pem").unlink()
    found = database.json("check", code=3)
    assert {"C10", "C30", "D01", "V07", "N01"} <= {entry["id"] for entry in found}
    (left,) = [entry["words"] for entry in found if entry["id"] == "X02"]
    assert left.endswith(": ledger")


def test_a_file_that_is_no_toml_ends_it(database: Typed) -> None:
    (database.folder / "config.toml").write_text("[server\n")
    assert [entry["id"] for entry in database.json("check", code=3)] == ["C02"]


def test_a_part_that_breaks_hides_no_other(database: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: Config) -> Iterable[Finding]:
        yield ok("R01", "routes", "first")
        raise LookupError(f"https://a.example/{config.source}")

    parts = [Part(name="broken", ask=broken, needs=frozenset()), *PARTS]
    monkeypatch.setattr("receiver.cli.check.PARTS", parts)
    found = findings_of(config_of(database))
    assert answers(found)[:2] == ["R01", "X01"]
    assert {"D01", "V07"} <= set(answers(found))
    assert "a.example" not in only(found, "X01").words


def test_addresses_are_defanged_in_words_and_json() -> None:
    told = fail("R02", "policy.protected.1", "see https://img.example.net/private/x.jpg").as_json()
    assert "private" not in str(told)


def test_secrets_are_shown_nowhere(database: Typed) -> None:
    secret = (database.folder / "keys" / "data.key").read_text().strip()
    (database.folder / "keys" / "callback.pem").write_text(f"AGE-SECRET-KEY-1QQQ {secret}\n")
    shown = database("check", code=1).output + str(database.json("check", code=1))
    assert secret not in shown
    assert "AGE-SECRET-KEY-1QQQ" not in shown


def test_check_leaves_nothing_behind(database: Typed) -> None:
    database("check")
    before = files(database.folder)
    database("check")
    assert files(database.folder) == before


def files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))}


def test_check_makes_no_database(typed: Typed) -> None:
    assert only(db_checks.ask_database(config_of(typed)), "D01").level is Level.FAIL
    assert not (typed.folder / "data" / "receiver.db").exists()


def test_who_may_not_reach_the_keys_is_told_so(typed: Typed, tmp_path: Path) -> None:
    need_root()
    config = config_of(typed)
    for above in (tmp_path, *list(tmp_path.parents)[:2], typed.folder):
        above.chmod(0o755)
    with nobody():
        other, found = keys.typed_by_another(config), [*keys.ask_files(config), *keys.ask_keys(config)]
    assert other is not None
    assert "typed by uid 65534, and the keys belong to uid 0" in other.words
    assert set(answers(found)) == {"C32"}


def test_an_unread_key_file_asks_nothing_of_the_issuer(typed: Typed) -> None:
    told = only(rules.ask_issuers(config_of(typed, ISSUER.format(name="iwf"))), "R03")
    assert (told.level, "C30" in told.hint) == (Level.FAIL, True)


def test_root_tries_nothing_out_for_others(database: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(database)
    os.chown(config.keys.data_key_file, 12345, -1)
    found = findings_of(config)
    assert only(found, "K05").measured == {"uid": 12345}
    assert not {"D01", "D05", "V07"} & set(answers(found))
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert keys.typed_by_another(config) is None


# --- keys


def test_a_key_of_another_kind_is_named(typed: Typed) -> None:
    (typed.folder / "keys" / "ledger.pem").write_text("no key")
    (typed.folder / "keys" / "data.key").write_text("short")
    found = [finding for finding in keys.ask_keys(config_of(typed)) if finding.id == "K01"]
    assert [finding.about for finding in found] == ["keys.data_key_file", "keys.ledger_key_file"]


def test_old_keys_and_open_folders_are_told(typed: Typed) -> None:
    config = config_of(typed)
    assert answers(keys.ask_keys(config)) == ["K01", "K02", "K03"]
    old = time.time() - 800 * 86_400
    os.utime(config.keys.callback_key_file, (old, old))
    (typed.folder / "keys").chmod(0o770)
    found = list(keys.ask_keys(config))
    assert only(found, "K03").measured == {"age_days": 800}
    assert only(found, "K04").level is Level.FAIL


# --- issuers and routes


@pytest.fixture
def jwks(typed: Typed) -> Callable[..., None]:
    """Writes the published keys as an issuer's, with other members."""

    def write(name: str, **members: object) -> None:
        read = json.loads((typed.folder / "keys" / "public.jwks.json").read_text())
        (typed.folder / "keys" / f"{name}.json").write_text(json.dumps({"keys": [read["keys"][0] | members]}))

    return write


def test_each_issuer_is_looked_at(typed: Typed, jwks: Callable[..., None]) -> None:
    jwks("good")
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=5)
    jwks("soon", not_after=ends.isoformat(timespec="seconds").replace("+00:00", "Z"))
    (typed.folder / "keys" / "bad.json").write_text("{}")
    config = config_of(typed, "".join(ISSUER.format(name=name) for name in ("bad", "good", "soon")))
    found = list(rules.ask_issuers(config))
    told = {(finding.about, finding.id): finding for finding in found}
    assert told["issuers.bad", "R03"].level is Level.FAIL
    assert told["issuers.good", "R04"].level is Level.OK
    soon = told["issuers.soon", "R04"]
    assert (soon.level, soon.measured) == (Level.WARN, {"left_days": 4})


def test_what_no_route_names_is_told(typed: Typed) -> None:
    found = [finding for finding in rules.ask_routes(config_of(typed, ROUTE)) if finding.id == "R06"]
    assert [(finding.about, finding.see.partition("#")[2]) for finding in found] == [
        ("gates.front", "routesgates"),
        ("caches.edge", "routescaches"),
    ]


def test_routes_and_protected_addresses_are_read(typed: Typed) -> None:
    config = config_of(typed, ROUTE + ROUTE.replace('"/', '"').replace("img.example.net", "img..example"))
    found = list(rules.ask_routes(config))
    assert Level.FAIL in {finding.level for finding in found if finding.id == "R01"}


def test_files_of_issuers_lead_to_their_setting(typed: Typed) -> None:
    found = only(keys.ask_files(config_of(typed, ISSUER.format(name="iwf"))), "C30")
    assert (found.about, found.see.partition("#")[2]) == ("issuers.iwf.keys_file", "issuerskeys_file")
