"""Registers: written whole or not at all, weak keys refused with reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.cli.checks import rules
from receiver.cli.findings import Level
from receiver.cli.opened import opened
from receiver.config import load_config
from receiver.verification.jwk import load_jwks, public_members
from receiver.verification.keys import KeyStatus
from receiver.wiring.enrolment import enter_fetched
from receiver.wiring.register import LiveRegister
from tests.doubles.check_answers import only
from tests.unit.cli.conftest import Typed


def jwks(folder: Path, name: str, *keys: Mapping[str, Any]) -> str:
    file = folder / name
    file.write_text(json.dumps({"keys": list(keys)}))
    return str(file)


def jwk(kid: str) -> dict[str, Any]:
    return {**public_members(Ed25519PrivateKey.generate().public_key()), "kid": kid, "alg": "ed25519"}


@pytest.fixture
def issuer(typed: Typed, tmp_path: Path) -> Typed:
    file = jwks(tmp_path, "iwf.jwks", jwk("iwf-1"))
    typed("issuer", "add", "iwf", "--keys-file", file, "--category", "csam=act", "--category", "npi=review", "--yes")
    return typed


def test_added_issuer_is_listed(issuer: Typed) -> None:
    (told,) = issuer.json("issuer", "list")
    assert told["categories"] == {"csam": "act", "npi": "review"}
    assert [key["key_id"] for key in told["keys"]] == ["iwf-1"]
    assert (issuer.folder / "conf.d" / "issuer-iwf.toml").exists()


def test_fingerprints_are_asked_about(typed: Typed, tmp_path: Path) -> None:
    words = ("issuer", "add", "iwf", "--keys-file", jwks(tmp_path, "k", jwk("iwf-1")), "--category", "csam=act")
    assert "another channel" in typed(*words, stdin="n\n", code=1).output
    assert typed.json("issuer", "list") == []
    typed(*words, stdin="y\n")


def test_weak_keys_are_refused_with_all_reasons(typed: Typed, tmp_path: Path) -> None:
    short = public_members(rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key())
    zero = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}
    file = jwks(tmp_path, "weak", {**short, "kid": "a"}, {**zero, "kid": "b"}, {**jwk("c"), "d": "x"})
    shown = typed("issuer", "add", "iwf", "--keys-file", file, "--category", "csam=act", "--yes", code=1).output
    assert all(f"keys[{number}]" in shown for number in range(3))
    assert not (typed.folder / "issuers" / "iwf.jwks.json").exists()
    assert not (typed.folder / "conf.d" / "issuer-iwf.toml").exists()


def test_bad_entry_writes_nothing(typed: Typed, tmp_path: Path) -> None:
    file = jwks(tmp_path, "k", jwk("iwf-1"))
    shown = typed("issuer", "add", "IWF", "--keys-file", file, "--category", "csam=maybe", "--yes", code=3).output
    assert "issuers.IWF.id" in shown
    assert "issuers.IWF.categories.csam" in shown
    assert list((typed.folder / "conf.d").iterdir()) == []


def test_issuer_is_added_once(issuer: Typed, tmp_path: Path) -> None:
    file = jwks(tmp_path, "k", jwk("other"))
    shown = issuer("issuer", "add", "iwf", "--keys-file", file, "--category", "csam=act", "--yes", code=3).output
    assert "C21" in shown


def test_enrolled_keys_join_the_old(issuer: Typed, tmp_path: Path) -> None:
    issuer("issuer", "enrol", "iwf", jwks(tmp_path, "new", jwk("iwf-2")), "--yes")
    (told,) = issuer.json("issuer", "list")
    assert [key["key_id"] for key in told["keys"]] == ["iwf-1", "iwf-2"]


def test_known_key_id_cannot_change_its_key(issuer: Typed, tmp_path: Path) -> None:
    shown = issuer("issuer", "enrol", "iwf", jwks(tmp_path, "new", jwk("iwf-1")), "--yes", code=1).output
    assert "Ask them by telephone" in shown


def test_enrolling_for_nobody_names_who_is_known(issuer: Typed, tmp_path: Path) -> None:
    assert "known: iwf" in issuer("issuer", "enrol", "ncmec", jwks(tmp_path, "new", jwk("x")), code=1).output


def test_revoked_key_is_in_the_register(issuer: Typed) -> None:
    issuer("db", "upgrade")
    issuer("issuer", "revoke", "iwf", "iwf-1", "--reason", "laptop lost")
    issuer("issuer", "revoke", "iwf", "iwf-1", "--reason", "said again")
    assert "has no key" in issuer("issuer", "revoke", "iwf", "iwf-9", "--reason", "x", code=1).output
    issuer("ledger", "checkpoint")
    told = issuer.json("ledger", "prove", "iwf/iwf-1")
    assert [proof["kind"] for proof in told["proofs"]] == ["key.revoked", "key.revoked"]


@pytest.fixture
def published(typed: Typed) -> Typed:
    """An issuer whose server a worker has asked already, and written down what it said."""
    typed("issuer", "add", "ncm", "--keys-url", "https://hotline.example/keys", "--category", "csam=act")
    typed("db", "upgrade")
    publish(typed, jwk("ncm-1"))
    config = load_config(typed.folder / "config.toml", {})
    with opened(config) as store:
        enter_fetched(config, store, lambda outcome: store.commit([outcome]), "ncm")
    return typed


def publish(typed: Typed, *keys: Mapping[str, Any]) -> None:
    folder = typed.folder / "data" / "key-directories"
    folder.mkdir(exist_ok=True)
    jwks(folder, "ncm.jwks.json", *keys)


def keys_of(typed: Typed, issuer: str) -> dict[str, tuple[str, str]]:
    (told,) = [entry for entry in typed.json("issuer", "list") if entry["id"] == issuer]
    return {key["key_id"]: (key["state"], key["fingerprint"]) for key in told["keys"]}


def believed(typed: Typed, key_id: str) -> KeyStatus | None:
    """As a process that verifies notices sees it."""
    config = load_config(typed.folder / "config.toml", {})
    with opened(config) as store:
        found = LiveRegister(config, store).find(key_id)
    return None if found is None else found.status


def test_published_key_takes_two_people(published: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    state, seen = keys_of(published, "ncm")["ncm-1"]
    assert (state, believed(published, "ncm-1")) == ("pending", KeyStatus.PENDING)
    shown = published("issuer", "list").output
    assert all(words in shown for words in ("approve-key", seen))
    words = ("issuer", "approve-key", "ncm", "ncm-1", "--fingerprint")
    assert "not its fingerprint" in published(*words, "other", code=1).output
    monkeypatch.setenv("SUDO_USER", "anna")
    assert "1 more person" in published(*words, seen).output
    assert "another person" in published(*words, seen, code=1).output
    assert (keys_of(published, "ncm"), believed(published, "ncm-1")) == ({"ncm-1": ("pending", seen)}, "pending")
    monkeypatch.setenv("SUDO_USER", "bert")
    assert "ncm-1 is active" in published(*words, seen).output
    assert "no key ncm-1" in published(*words, seen, code=1).output
    assert (keys_of(published, "ncm"), believed(published, "ncm-1")) == ({"ncm-1": ("active", seen)}, "active")
    assert "approve-key" not in published("issuer", "list").output


def test_check_tells_of_keys_that_wait(published: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(published.folder / "config.toml", {})
    told = only(rules.ask_register(config), "R09")
    assert (told.level, told.measured) == (Level.WARN, {"waiting_keys": 1})
    for person in ("anna", "bert"):
        monkeypatch.setenv("SUDO_USER", person)
        published("issuer", "approve-key", "ncm", "ncm-1", "--fingerprint", keys_of(published, "ncm")["ncm-1"][1])
    told = only(rules.ask_register(config), "R09")
    assert (told.level, told.measured) == (Level.OK, {"keys": 1})
    published("issuer", "revoke", "ncm", "ncm-1", "--reason", "stolen")
    assert "any more" in only(rules.ask_register(config), "R09").words


def test_check_asks_no_register_that_is_not_there(issuer: Typed) -> None:
    config = load_config(issuer.folder / "config.toml", {})
    assert list(rules.ask_register(config)) == []
    assert list((issuer.folder / "data").iterdir()) == []
    (issuer.folder / "data" / "receiver.db").touch()
    assert list(rules.ask_register(config)) == []


def test_a_key_swapped_meanwhile_is_not_believed(published: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("issuer", "approve-key", "ncm", "ncm-1", "--fingerprint")
    monkeypatch.setenv("SUDO_USER", "anna")
    published(*words, keys_of(published, "ncm")["ncm-1"][1])
    other = jwk("ncm-1")
    publish(published, other)
    assert keys_of(published, "ncm") == {}
    monkeypatch.setenv("SUDO_USER", "bert")
    (record,) = load_jwks("ncm", json.dumps({"keys": [other]}).encode())
    assert "not its fingerprint" in published(*words, record.thumbprint, code=1).output
    assert believed(published, "ncm-1") is None


def test_a_published_key_can_be_revoked(published: Typed) -> None:
    published("issuer", "revoke", "ncm", "ncm-1", "--reason", "stolen")
    assert keys_of(published, "ncm")["ncm-1"][0] == "revoked"


def test_unreadable_published_keys_are_said(published: Typed) -> None:
    (published.folder / "data" / "key-directories" / "ncm.jwks.json").write_text("{")
    assert "the keys that ncm published cannot be read" in published("issuer", "list", code=1).output


def test_route_is_written_and_listed(typed: Typed) -> None:
    typed("route", "add", "img.example.net", "--customer", "acme", "--storage", "www", "--key", "acme{path}")
    (told,) = typed.json("route", "list")
    assert (told["host"], told["storage"], told["key"]) == ("img.example.net", "www", "acme{path}")
    assert len(list((typed.folder / "conf.d").iterdir())) == 1


def test_route_to_nowhere_is_refused(typed: Typed) -> None:
    shown = typed(
        "route", "add", "a.example", "--customer", "acme", "--storage", "tape", "--key", "{path}", code=3
    ).output
    assert "C22" in shown
    assert typed.json("route", "list") == []


def test_route_rules_are_the_resolvers(typed: Typed) -> None:
    words = ("route", "add", "a..example", "--customer", "acme", "--storage", "www", "--key", "no placeholder")
    shown = typed(*words, code=3).output
    assert "lower-case" in shown
    assert "{path}" in shown


def test_two_routes_for_one_place_are_refused(typed: Typed) -> None:
    words = ("route", "add", "a.example", "--customer", "acme", "--storage", "www", "--key", "{path}")
    typed(*words)
    assert "C21" in typed(*words, code=3).output


def test_explain_names_what_would_happen(typed: Typed) -> None:
    typed("db", "upgrade")
    typed(
        *("route", "add", "img.example.net", "--customer", "acme", "--storage", "www", "--key", "acme{path}"),
        *("--gate", "front", "--cache", "edge"),
    )
    (told,) = typed.json("explain", stdin="https://IMG.example.net/a/b%0A.jpg?x=1\n")
    assert (told["facts"]["customer"], told["facts"]["locator"]) == ("acme", "acme/a/b\n.jpg")
    assert told["acts"][0] == "deny the URL at gate front"
    shown = typed("explain", stdin="https://img.example.net/a/b%0A.jpg\n").output
    assert "acme/a/b\\n.jpg" in shown
    assert "https://" not in shown


@pytest.mark.parametrize(
    ("text", "would"),
    [
        ("https://elsewhere.example/a", "nothing: the issuer hears not_hosted"),
        ("https://img.example.net/", "ask a person first: front_page"),
        ("javascript:alert(1)", "not exact enough"),
    ],
)
def test_explain_says_why_nothing_would_be_done(typed: Typed, text: str, would: str) -> None:
    typed("db", "upgrade")
    typed("route", "add", "img.example.net", "--customer", "acme", "--storage", "www", "--key", "acme{path}")
    assert would in typed("explain", stdin=f"{text}\n").output


def test_explain_takes_no_url_as_argument(typed: Typed) -> None:
    typed("db", "upgrade")
    typed("explain", "https://img.example.net/a", code=2)
    assert "nothing came" in typed("explain", stdin="\n", code=1).output
    typed("db", "upgrade")
    assert "no case of that code" in typed("explain", stdin="k7qx-93fm\n", code=1).output
