"""`check` asks the vault, the copies of the ledger, the listening addresses and the clock."""

from __future__ import annotations

import datetime as dt
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.cli.check import exit_code
from receiver.cli.checks import evidence, listening, peers
from receiver.cli.exits import Exit
from receiver.cli.findings import Finding, Level
from receiver.config import Config
from receiver.domain.clock import SystemClock
from receiver.ledger.copies import FILE_NAME
from receiver.net.errors import SendError, SendFailure
from receiver.net.peek import Peer
from tests.doubles.check_answers import answers, changed, config_of, only
from tests.doubles.web_servers import make_ca
from tests.unit.cli.conftest import Typed

# --- evidence


@pytest.mark.parametrize(
    ("words", "question"),
    [
        ("fewer than two different recipients: one lost", "V01"),
        ("the vault cannot be written: read-only", "V02"),
        ("the second header store has only 3 MiB left; free", "V03"),
        ("the vault is open to other users of this machine; chmod 700 it", "V04"),
        ("headers live in one store only: losing it", "V05"),
        ("the second header store lies in the same folder", "V05"),
        ("the second header store is on the vault's disk and", "V05"),
        ("a custodian identity is within reach, in x", "V06"),
        ("not every file was searched for custodian", "V06"),
    ],
)
def test_words_of_the_vault_answer_their_question(words: str, question: str) -> None:
    assert evidence.question_of(words) == question


def test_vault_reads_back_what_it_seals(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(typed)
    found = only(evidence.ask_vault(config), "V07")
    assert (found.level, found.measured["sample_bytes"]) == (Level.OK, evidence.SAMPLE_BYTES)
    monkeypatch.setattr("receiver.vault.stream.open_payload", lambda *_: 0)
    assert only(evidence.ask_vault(config), "V07").level is Level.FAIL


def test_little_space_is_not_called_enough(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(evidence.ask_vault(config_of(typed)), "V03").level is Level.OK
    words = ("the vault has only 3 MiB left; free space before it is full",)
    monkeypatch.setattr("receiver.vault.vault.DirectoryVault.probe", lambda _self: words)
    assert only(evidence.ask_vault(config_of(typed)), "V03").level is Level.FAIL


def test_vault_without_recipients_is_told(typed: Typed) -> None:
    (typed.folder / "keys" / "custodians.txt").write_text("age1short\n")
    found = only(evidence.ask_vault(config_of(typed)), "V01")
    assert (found.level, found.see.partition("#")[2]) == (Level.FAIL, "vaultrecipients_file")


def test_an_identity_within_reach_fails(typed: Typed) -> None:
    (typed.folder / "data" / "note.txt").write_text("AGE-SECRET-KEY-1QQQQ")
    assert only(evidence.ask_vault(config_of(typed)), "V06").level is Level.FAIL


def test_checkpoint_copies_are_looked_at(database: Typed, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    settings = database.folder / "config.toml"
    words = f'copy_to = ["{copy}", "{tmp_path}/away"]'
    settings.write_text(settings.read_text().replace("copy_to = []", words))
    config = config_of(database)
    database("pause")
    assert only(evidence.ask_ledger(config), "L05").level is Level.WARN
    database("ledger", "checkpoint", code=1)
    found = list(evidence.ask_ledger(config))
    assert [(f.id, f.level.value) for f in found] == [
        ("L02", "ok"),
        ("L03", "warn"),
        ("L04", "ok"),
        ("L02", "fail"),
        ("L05", "ok"),
    ]
    (copy / FILE_NAME).write_text("")
    assert "L04" in answers(evidence.ask_ledger(config), Level.FAIL)


def test_no_copy_at_all_is_told(database_config: Config) -> None:
    assert only(evidence.ask_ledger(database_config), "L01").level is Level.WARN


# --- addresses and clocks


def test_a_taken_address_is_told(typed: Typed) -> None:
    config = config_of(typed)
    with socket.create_server(("127.0.0.1", 0)) as server:
        bind = f"127.0.0.1:{server.getsockname()[1]}"
        server.close()
        free = changed(config, public_bind=bind)
        assert "is free" in next(f for f in listening.ask_listening(free) if f.id == "N01").words
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = changed(config, public_bind=f"127.0.0.1:{server.getsockname()[1]}")
        found = next(f for f in listening.ask_listening(taken) if f.id == "N01")
    assert (found.level, found.see.partition("#")[2]) == (Level.FAIL, "serverpublic_bind")


def test_foreign_addresses_are_told(typed: Typed) -> None:
    config = changed(config_of(typed), admin_bind="192.0.2.1:8441", public_bind="0.0.0.0:0")
    found = list(listening.ask_listening(config))
    assert [f.about for f in found if f.id == "N01" and f.level is Level.FAIL] == ["server.admin_bind"]
    reach = {f.about: f for f in found if f.id == "N02"}
    assert "every address" in reach["server.public_bind"].words
    assert {f.level for f in reach.values()} == {Level.WARN}


def test_time_service_is_asked(typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(typed)
    tool = tmp_path / "timedatectl"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert only(peers.ask_clock(config), "T01").level is Level.WARN
    for said, level in (("yes", Level.OK), ("no", Level.WARN)):
        tool.write_text(f"#!/bin/sh\necho {said}\n")
        tool.chmod(0o755)
        assert only(peers.ask_clock(config), "T01").level is level


PEER = Peer(addresses=2, connect_ms=1.0, tls_ms=2.0, certificate_ends_at=None, said_at=None)
CALLBACK = """
[[issuers]]
id = "iwf"
keys_file = "keys/public.jwks.json"
categories = { csam = "act" }
callback_url = "https://hotline.example/s3cret"
"""


def peers_found(config: Config, monkeypatch: pytest.MonkeyPatch, came: Peer | Exception) -> list[Finding]:
    def asked(_url: str, **_more: object) -> Peer:
        if isinstance(came, Exception):
            raise came
        return came

    monkeypatch.setattr("receiver.cli.checks.peers.peek", asked)
    found = list(peers.ask_peers(config))
    assert "s3cret" not in str([finding.as_json() for finding in found])
    assert {finding.see.partition("#")[2] for finding in found} == {"issuerscallback_url"}
    return found


def test_callback_address_is_measured(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    now = SystemClock().now()
    config = config_of(typed, CALLBACK)
    for days, off, wanted in ((30, 5, ["ok", "ok"]), (3, 90, ["warn", "warn"]), (-2, 5, ["fail", "ok"])):
        ends, said = now + dt.timedelta(days=days, hours=1), now - dt.timedelta(seconds=off)
        peer = replace(PEER, certificate_ends_at=ends, said_at=said)
        found = peers_found(config, monkeypatch, peer)
        assert answers(found) == ["B01", "B02", "B03", "T03"]
        assert [only(found, question).level.value for question in ("B03", "T03")] == wanted
        assert only(found, "B03").measured == {"left_days": days}
        assert ("behind ours" in only(found, "T03").words) == (off > 60)


def test_callback_address_that_fails_is_named(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(typed, CALLBACK)
    for kind, question in (
        (SendFailure.DNS, "B01"),
        (SendFailure.REFUSED_ADDRESS, "B01"),
        (SendFailure.TLS, "B02"),
    ):
        assert answers(peers_found(config, monkeypatch, SendError(kind, "words")), Level.FAIL) == [question]
    plain = replace(PEER, tls_ms=None)
    told = only(peers_found(config, monkeypatch, plain), "B02")
    assert told.level is Level.WARN
    assert "https address" in told.hint
    assert "firewall" not in told.hint


@pytest.mark.parametrize("kind", [SendFailure.CONNECT, SendFailure.TIMEOUT])
def test_an_issuer_that_is_down_fails_nothing(typed: Typed, monkeypatch: pytest.MonkeyPatch, kind: SendFailure) -> None:
    found = peers_found(config_of(typed, CALLBACK), monkeypatch, SendError(kind, "words"))
    assert answers(found) == ["B02"]
    assert (found[0].level, found[0].as_json()["level"], exit_code(found)) == (Level.WARN, "warn", Exit.OK)
    assert "tried again" in found[0].hint


def test_a_key_server_that_is_down_keeps_its_keys(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    by_url = CALLBACK.replace("keys_file =", "# keys_file =").replace("callback_url", "keys_url")
    monkeypatch.setattr("receiver.cli.checks.peers.peek", down)
    found = only(peers.ask_peers(config_of(typed, by_url)), "B02")
    assert (found.level, found.see) == (Level.WARN, "docs/settings.md#issuerskeys_url")
    assert "stay in force" in found.hint


def down(_url: str, **_more: object) -> Peer:
    raise SendError(SendFailure.CONNECT, "words")


def test_an_unusable_authority_fails(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    found = peers_found(config_of(typed, CALLBACK), monkeypatch, OSError("not a certificate"))
    assert answers(found, Level.FAIL) == ["B02"]
    assert "callback_ca_file" in found[0].hint


def test_an_issuer_that_hears_nothing_is_told(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(typed, "\n".join(CALLBACK.splitlines()[:-1]) + "\n")
    assert answers(peers_found(config, monkeypatch, PEER)) == ["B04"]


def test_own_certificate_is_read(typed: Typed, tmp_path: Path) -> None:
    make_ca(tmp_path, "notices.host.example")
    config = changed(config_of(typed), tls_cert_file=tmp_path / "leaf.pem", tls_key_file=tmp_path / "leaf.pem")
    found = [finding for finding in listening.ask_listening(config) if finding.id == "N03"]
    assert [finding.level for finding in found] in ([Level.OK], [Level.WARN])
    other = changed(config, public_origins=("https://other.example",))
    assert "N03" in answers(listening.ask_listening(other), Level.FAIL)
    broken = changed(config, tls_key_file=typed.folder / "keys" / "ledger.pem")
    assert "N03" in answers(listening.ask_listening(broken), Level.FAIL)
