"""What the command line tells people to do can be done as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.cli import main
from receiver.cli.checks import database as database_checks
from receiver.cli.checks import rules
from receiver.cli.findings import Level, measured_words
from receiver.keyfiles import init_folder, published_mismatch
from tests.doubles.check_answers import config_of, only
from tests.unit.cli.conftest import Typed

CASE_ACTS = ("list", "show", "approve", "refuse", "release", "agree", "retry")


# --- key files


def test_verifying_needs_no_custodian(database: Typed) -> None:
    (database.folder / "keys" / "custodians.txt").unlink()
    assert database.json("vault", "verify") == {"seals": 0, "problems": []}


@pytest.mark.parametrize("lost", ["callback.pem", "response.pem", "public.jwks.json", "ledger.pem"])
def test_hint_for_a_lost_key_works(typed: Typed, tmp_path: Path, lost: str) -> None:
    keys = typed.folder / "keys"
    (keys / lost).unlink()
    (told,) = [entry for entry in typed.json("check", code=3) if entry["id"] == "C30"]
    assert "your copy of keys/" in told["hint"]
    assert "takedown-receiver init NEWDIR" in told["hint"]
    new = tmp_path / "new"
    typed("init", str(new))
    taken = re.findall(r"\b[a-z.]+\.(?:pem|json|key)\b", told["hint"])
    assert lost in taken
    assert "data.key" not in taken
    for name in taken:
        (keys / name).write_bytes((new / "keys" / name).read_bytes())
        (keys / name).chmod(0o600)
    assert not [entry for entry in typed.json("check", code=1) if entry["id"][0] in "CK" and entry["level"] == "fail"]
    assert published_mismatch(config_of(typed).keys) is None


def test_only_the_copy_replaces_the_data_key(typed: Typed) -> None:
    (typed.folder / "keys" / "data.key").unlink()
    (told,) = [entry for entry in typed.json("check", code=3) if entry["id"] == "C30"]
    assert "your copy of keys/" in told["hint"]
    assert "init" not in told["hint"]


def test_another_ledger_key_helps_only_before_checkpoints(database: Typed, tmp_path: Path) -> None:
    new, file = init_folder(tmp_path / "new", origin="https://notices.host.example"), "keys/ledger.pem"
    (database.folder / file).write_bytes((new.folder / file).read_bytes())
    database("pause")
    database("ledger", "checkpoint")
    third = init_folder(tmp_path / "third", origin="https://notices.host.example")
    (database.folder / file).write_bytes((third.folder / file).read_bytes())
    database("resume")
    assert "Nothing was signed" in database("ledger", "checkpoint", code=1).output
    (database.folder / file).unlink()
    assert "only while no checkpoint was signed" in database("check", code=3).output


@pytest.mark.parametrize("words", [("check",), ("explain",), ("vault", "verify"), ("pause", "--list"), ("admin",)])
def test_open_key_files_end_with_three(database: Typed, words: tuple[str, ...]) -> None:
    file = database.folder / "keys" / "data.key"
    file.chmod(0o644)
    shown = database(*words, stdin="https://img.example.net/x\n", code=3).output
    assert "C31 keys.data_key_file" in shown
    assert f"chmod 600 {file}" in shown


# --- addresses


def test_advice_about_addresses_is_not_defanged(typed: Typed) -> None:
    with (typed.folder / "config.toml").open("a") as file:
        file.write(
            '[[issuers]]\nid = "plain"\nkeys_file = "k"\ncallback_url = "http://a.example/c"\ncategories = {}\n'
            '[[issuers]]\nid = "key"\nkeys_url = "http://a.example/k"\ncategories = {}\n'
            '[[issuers]]\nid = "ftp"\nkeys_file = "k"\ncallback_url = "ftp://a.example/c"\ncategories = {}\n'
        )
    config = typed.folder / "config.toml"
    config.write_text(config.read_text().replace("https://notices.host.example", "http://notices.host.example"))
    found = [entry for entry in typed.json("check", code=3) if entry["id"] in ("C12", "C26")]
    assert {entry["about"] for entry in found} >= {
        *("server.public_origins.0", "issuers.plain.callback_url", "issuers.key.keys_url", "issuers.ftp.callback_url")
    }
    assert all("an https address" in entry["words"] for entry in found if "categories" not in entry["about"])
    assert "hxxp" not in typed("check", code=3).output


# --- help


@pytest.mark.parametrize("act", CASE_ACTS)
def test_case_help_needs_no_token(act: str) -> None:
    shown = CliRunner().invoke(main, ["case", act, "--help"], env={"TAKEDOWN_TOKEN_FILE": None})
    assert (shown.exit_code, "Usage: " in shown.output) == (0, True)


def test_acting_without_a_token_is_a_usage_error(typed: Typed) -> None:
    shown = typed("case", "retry", "K7QX-93FM", code=2).output
    assert "Missing option '--token-file'" in shown
    assert "takedown-receiver case [OPTIONS]" in shown


def test_unwrap_says_what_identity_means() -> None:
    shown = CliRunner().invoke(main, ["custodian", "unwrap", "--help"]).output
    assert re.search(r"--identity FILE +Your own identity", shown)


# --- words of `check`


def test_an_impossible_host_is_told_with_all(typed: Typed) -> None:
    with (typed.folder / "config.toml").open("a") as file:
        file.write(
            '[[routes]]\nhost = "Bad Host"\naliases = ["*.a.example"]\ncustomer = "acme"\nstorage = "nix"\n'
            '[[routes]]\nhost = "ok.example.net"\npath = "nolead"\ncustomer = "acme"\nstorage = "nix"\n'
        )
    found = {(entry["id"], entry["about"]) for entry in typed.json("check", code=3)}
    assert found >= {
        ("C12", "routes.Bad Host/.host"),
        ("C12", "routes.Bad Host/.aliases.0"),
        ("C12", "routes.ok.example.net nolead.path"),
        ("C22", "routes.ok.example.net nolead.storage"),
        ("C22", "routes.Bad Host/.storage"),
    }


@pytest.mark.parametrize("host", ["*.example.net", "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7", "a_b.example"])
def test_possible_hosts_are_taken(typed: Typed, host: str) -> None:
    route = f'[[routes]]\nhost = "{host}"\ncustomer = "acme"\nstorage = "www"\nkey = "{{path}}"\n'
    found = list(rules.ask_routes(config_of(typed, route)))
    assert (only(found, "R01").level, only(found, "R01").words) == (Level.OK, "1 route")


def test_names_are_offered_where_some_stand(typed: Typed) -> None:
    config = typed.folder / "config.toml"
    route = '[[routes]]\nhost = "a.example"\ncustomer = "acme"\nstorage = "nix"\nkey = "{path}"\n'
    config.write_text(config.read_text() + route)
    (told,) = [entry for entry in typed.json("check", code=3) if entry["id"] == "C22"]
    assert told["hint"] == "Add [adapters.nix], or name one of: www"
    config.write_text(config.read_text().replace('[adapters.www]\ntype = "memory"\n', ""))
    (told,) = [entry for entry in typed.json("check", code=3) if entry["id"] == "C22"]
    assert told["hint"] == "Add [adapters.nix]"


def test_a_new_database_is_made_first(typed: Typed) -> None:
    hint = only(database_checks.ask_database(config_of(typed)), "D01").hint
    assert hint.startswith("Type: takedown-receiver db upgrade")
    typed("db", "upgrade")
    assert only(database_checks.ask_database(config_of(typed)), "D01").level is Level.OK


@pytest.mark.parametrize(("count", "words"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")])
def test_one_is_not_many(count: int, words: str) -> None:
    assert measured_words({"entries": count}) == words
    assert measured_words({"open_pages": 1}) == "1 open page"
    assert measured_words({"addresses": 1}) == "1 address"


def test_a_user_is_no_count() -> None:
    assert measured_words({"uid": 10001}) == "uid 10001"


def test_missing_copies_promise_no_command(database: Typed) -> None:
    (told,) = [entry for entry in database.json("check") if entry["id"] == "L01"]
    assert not re.search(r"export|restore|destroy", told["words"])
