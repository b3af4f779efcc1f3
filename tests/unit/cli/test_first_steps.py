"""What a person types on a new machine, in that order."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from receiver.cli import main
from receiver.cli.checks import database
from receiver.cli.findings import Level
from receiver.cli.root import COMMANDS
from receiver.keyfiles import KeyFileError, init_folder
from receiver.verification.jwk import load_jwks, thumbprint
from receiver.verification.signing import check_private_key
from tests.doubles.check_answers import config_of, only
from tests.unit.cli.conftest import Typed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.exception
    assert "Usage: " in result.output


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {name} " in shown for name in COMMANDS)


def test_typing_nonsense_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["frobnicate"])
    assert (result.exit_code, "No such command" in result.output) == (2, True)


def test_init_makes_keys_that_fit_together(tmp_path: Path) -> None:
    made = init_folder(tmp_path / "r", origin="https://a.example")
    published = {record.thumbprint for record in load_jwks("own", (made.folder / "keys/public.jwks.json").read_bytes())}
    for name in ("callback", "response"):
        key = check_private_key(load_pem_private_key((made.folder / f"keys/{name}.pem").read_bytes(), None))
        assert thumbprint(key.public_key()) == made.fingerprints[name]
        assert made.fingerprints[name] in published
    assert made.fingerprints["ledger"] not in published


def test_init_keeps_secrets_to_their_owner(tmp_path: Path) -> None:
    made = init_folder(tmp_path / "r", origin="https://a.example")
    modes = {name: stat.S_IMODE((made.folder / name).stat().st_mode) for name in made.written}
    assert {name for name, mode in modes.items() if mode != 0o600} == {"keys/public.jwks.json"}
    assert stat.S_IMODE((made.folder / "keys").stat().st_mode) == 0o700


def test_init_writes_nothing_over(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "data.key").write_bytes(b"precious")
    with pytest.raises(KeyFileError, match=r"keys/data\.key"):
        init_folder(folder, origin="https://a.example")
    assert (folder / "keys" / "data.key").read_bytes() == b"precious"
    assert not (folder / "config.toml").exists()


def test_init_prints_fingerprints_and_next_steps(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "r"), "--origin", "https://a.example"])
    assert result.exit_code == 0
    assert "custodian new" in result.output
    assert 'public_origins = ["https://a.example"]' in (tmp_path / "r" / "config.toml").read_text()


def test_init_with_a_bad_origin_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "r"), "--origin", "http://a.example"])
    assert (result.exit_code, "C12 server.public_origins.0" in result.output) == (3, True)


def test_missing_settings_end_with_three(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "none.toml"), "route", "list"])
    assert result.exit_code == 3
    assert f"{tmp_path / 'none.toml'}: the file cannot be read" in result.output
    assert all(words in result.output for words in ("takedown-receiver init DIR", "--config FILE"))


def test_check_is_green_after_the_first_steps(typed: Typed) -> None:
    typed("db", "upgrade")
    shown = typed("check").output
    assert "0 failed" in shown
    assert "no outside copy" in shown


def test_check_lists_all_that_is_wrong(typed: Typed) -> None:
    (typed.folder / "keys" / "custodians.txt").unlink()
    (typed.folder / "keys" / "response.pem").chmod(0o644)
    found = typed.json("check", code=3)
    failed = {entry["about"] for entry in found if entry["level"] == "fail"}
    assert failed == {"keys.response_key_file", "vault.recipients_file", "database", "vault"}
    assert any("db upgrade" in entry["hint"] for entry in found if entry["level"] == "fail")


def test_check_shows_every_mistake_of_the_settings(typed: Typed) -> None:
    with (typed.folder / "config.toml").open("a") as file:
        file.write('[limits]\nmax_itmes = 1\nmax_body_bytes = "big"\n')
    found = typed.json("check", code=3)
    assert [entry["about"] for entry in found][:2] == ["limits.max_body_bytes", "limits.max_itmes"]


def test_check_notices_foreign_published_keys(typed: Typed, tmp_path: Path) -> None:
    other = init_folder(tmp_path / "other", origin="https://notices.host.example")
    published = typed.folder / "keys" / "public.jwks.json"
    published.write_bytes((other.folder / "keys" / "public.jwks.json").read_bytes())
    assert "the callback key is not in" in typed("check", code=1).output


def test_tables_say_their_version(typed: Typed) -> None:
    assert typed.json("db", "current")["tables"] is None
    typed("db", "upgrade")
    told = typed.json("db", "current")
    assert told["tables"] == told["program"]


BEFORE_THE_TABLES = (
    ("vault", "verify"), ("explain",), ("ledger", "verify"), ("pause", "--list"), ("resume",),
    ("admin-user", "list"), ("admin-user", "add", "anna"),
)  # fmt: skip


@pytest.mark.parametrize("words", BEFORE_THE_TABLES, ids=" ".join)
def test_too_early_says_what_to_type(typed: Typed, words: tuple[str, ...]) -> None:
    shown = typed(*words, stdin="https://img.example.net/x\n", code=1).output
    assert f"{typed.folder / 'data' / 'receiver.db'} is not there yet" in shown
    assert "takedown-receiver db upgrade" in shown
    assert list((typed.folder / "data").iterdir()) == []


def test_grants_are_printed_as_sql(typed: Typed) -> None:
    roles = ("--web", "t_web", "--admin", "t_admin", "--worker", "t_worker")
    shown = typed("db", "grants", *roles).output
    assert all(line.endswith(";") for line in shown.splitlines())
    assert 'GRANT SELECT, INSERT ON "item" TO t_web;' in shown
    assert "letters, digits" in typed("db", "grants", *roles[:-1], "x; DROP", code=1).output


def test_pause_and_resume(typed: Typed) -> None:
    typed("db", "upgrade")
    (told,) = typed.json("pause", "--adapter", "www")
    assert told["scope"] == "adapter:www"
    assert told["by"].startswith("cli:")
    assert "paused already" in typed("pause", "--adapter", "www", code=1).output
    assert "adapter:www" in typed("check").output
    typed("pause")
    typed("resume", "--adapter", "www")
    # The other pause still calls people; this one has nothing left to call about.
    assert only(database.ask_processes(config_of(typed)), "W04").measured["open_pages"] == 1
    typed("resume")
    assert only(database.ask_processes(config_of(typed)), "W04").level is Level.OK
    assert "not paused" in typed("resume", "--adapter", "www", code=1).output
    assert typed.json("pause", "--list") == []


def test_pause_names_what_is_known(typed: Typed) -> None:
    typed("db", "upgrade")
    assert "known: www" in typed("pause", "--adapter", "wwww", code=1).output
    assert "issuer list" in typed("pause", "--issuer", "iwf", code=1).output
    typed("pause", "--issuer", "iwf", "--adapter", "www", code=2)


def test_acts_of_commands_are_proven_in_the_ledger(typed: Typed) -> None:
    typed("db", "upgrade")
    typed("pause")
    typed("resume")
    assert "run `ledger checkpoint`" in typed("ledger", "prove", "all", code=1).output
    signed = typed.json("ledger", "checkpoint")
    assert signed["size"] == 2
    told = typed.json("ledger", "verify")
    assert told["ok"]
    assert typed.json("ledger", "verify", "--vkey", told["public_key"])["ok"]
    told = typed.json("ledger", "prove", "all")
    assert [proof["kind"] for proof in told["proofs"]] == ["pause.lifted", "pause.set"]
    assert told["problems"] == []
    assert "nothing was ever entered" in typed("ledger", "prove", "K7QX-93FM", code=1).output


def test_an_empty_vault_is_whole(typed: Typed) -> None:
    typed("db", "upgrade")
    assert typed.json("vault", "verify") == {"seals": 0, "problems": []}


def test_people_get_one_time_passwords(typed: Typed) -> None:
    typed("db", "upgrade")
    password = typed("admin-user", "add", "anna", "--role", "reviewer").stdout.strip()
    assert len(password) > 20
    assert "already" in typed("admin-user", "add", "anna", code=1).output
    assert typed.json("admin-user", "list") == [{"name": "anna", "role": "reviewer", "disabled": False}]
    assert "anna is approver" in typed("admin-user", "role", "anna", "approver").output
    assert typed.json("admin-user", "list")[0]["role"] == "approver"
    typed("admin-user", "role", "anna", "boss", code=2)
    assert "no account bert" in typed("admin-user", "role", "bert", "viewer", code=1).output
    token = typed("admin-user", "token", "anna", "--scope", "read").stdout.strip()
    (listed,) = typed.json("admin-user", "tokens", "anna")
    assert token not in json.dumps(listed)
    typed("admin-user", "revoke-token", listed["id"])
    assert typed("admin-user", "reset", "anna").stdout.strip() != password
    typed("admin-user", "disable", "anna")
    assert typed.json("admin-user", "list")[0]["disabled"]


@pytest.mark.parametrize(("process", "key"), [("web", "response"), ("worker", "callback")])
def test_a_process_does_not_start_without_its_key(typed: Typed, process: str, key: str) -> None:
    (typed.folder / "keys" / f"{key}.pem").unlink()
    assert f"C30 keys.{key}_key_file" in typed(process, code=3).output
