"""Sets a receiver up from nothing, with its own commands: keys, custodians, an issuer, a store, a gate, a cache."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from receiver.demo.commands import ask_command, type_command
from receiver.demo.places import HOST, ISSUER, Facts, Places, program
from receiver.verification.signing import SigningKey

CATEGORY = "test"
KEY_ID = "demo-hotline-1"
CUSTODIANS = ("DEMO-custodian-1.txt", "DEMO-custodian-2.txt")


def set_up(places: Places) -> Facts:
    """Raises DemoError with what a command said when it would not."""
    facts = _choose()
    type_command("init", places.receiver, "--origin", facts.origin_url)
    _custodians(places)
    places.config.write_text(settings_text(places, facts), encoding="utf-8")
    (places.receiver / "agent.toml").write_text(agent_text(places, facts), encoding="utf-8")
    type_command(
        *("issuer", "add", ISSUER, "--name", "Demo hotline (made up)", "--keys-file", _issuer_keys(places.issuer)),
        *("--category", f"{CATEGORY}=act", "--callback-url", f"http://127.0.0.1:{facts.callback_port}/callbacks"),
        *("--allow-private-callback", "--yes"),
        config=places.config,
    )
    type_command(*_route(facts), config=places.config)
    facts.save(places)
    return facts


def _choose() -> Facts:
    with ExitStack() as held:
        public, admin, origin, front, callback = (_free_port(held) for _ in range(5))
    varnish = program("varnishd") is not None
    return Facts(
        public_port=public,
        admin_port=admin,
        origin_port=origin,
        front_port=front if varnish else origin,
        callback_port=callback,
        nginx=program("nginx") is not None,
        varnish=varnish,
    )


def _free_port(held: ExitStack) -> int:
    """Held until all are chosen, so that none is chosen twice."""
    probe = held.enter_context(socket.socket())
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    return port


def _custodians(places: Places) -> None:
    """Two for show. Real custodians make theirs on machines of their own, where no receiver runs."""
    lines = ["# DEMO identities, made on this machine for show. Real custodians make theirs elsewhere."]
    for name in CUSTODIANS:
        made = ask_command("custodian", "new", places.custodians / name)
        lines.append(f"{made['recipient']}")
    (places.receiver / "keys" / "custodians.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _issuer_keys(folder: Path) -> Path:
    """The issuer's private key stays with the issuer; the receiver gets the public half."""
    key = Ed25519PrivateKey.generate()
    private = folder / "key.pem"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = folder / "public.jwks.json"
    jwk = SigningKey(key_id=KEY_ID, private_key=key).public_jwk()
    public.write_text(json.dumps({"keys": [jwk]}, indent=2) + "\n", encoding="utf-8")
    return public


def _route(facts: Facts) -> list[str]:
    words = ["route", "add", HOST, "--customer", "demo-customer", "--storage", "www", "--key", "{path}"]
    if facts.nginx:
        words += ["--gate", "nginx"]
    if facts.varnish:
        words += ["--cache", "varnish"]
    # Origin and front, since either could be asked by the public.
    for port in sorted({facts.origin_port, facts.front_port}):
        words += ["--look-at", f"127.0.0.1:{port}"]
    return words


def settings_text(places: Places, facts: Facts) -> str:
    agent = {"agent": "unix:run/agent.sock"}
    tables: dict[str, Mapping[str, Any]] = {
        "server": {
            "public_origins": [facts.origin_url],
            "public_bind": f"127.0.0.1:{facts.public_port}",
            "admin_bind": f"127.0.0.1:{facts.admin_port}",
        },
        "adapters.www": {
            "type": "filesystem",
            "root": str(places.docroot),
            "quarantine_dir": str(places.quarantine),
            **agent,
        },
        "vault": {"second_headers_path": str(places.second / "headers")},
        "ledger": {"copy_to": [str(places.second / "checkpoints")]},
    }
    if facts.nginx:
        tables["gates.nginx"] = {"type": "nginx", **agent}
    if facts.varnish:
        tables["caches.varnish"] = {"type": "varnish", "url": f"http://127.0.0.1:{facts.front_port}"}
    return "# Settings of a demonstration, for this machine alone.\n" + _toml(tables)


def agent_text(places: Places, facts: Facts) -> str:
    tables: dict[str, Mapping[str, Any]] = {
        "filesystems.www": {"root": str(places.docroot), "quarantine_dir": str(places.quarantine)}
    }
    if facts.nginx:
        tables["gates.nginx"] = {
            "type": "nginx",
            "map_file": str(places.deny_map),
            "reload_command": [],
            "test_command": [program("nginx"), "-t", "-q", *nginx_words(places)],
            "pid_file": str(places.run / "nginx.pid"),
        }
    return '# The agent of a demonstration.\nsocket = "data/run/agent.sock"\n' + _toml(tables)


def nginx_words(places: Places) -> list[str]:
    """Which nginx is meant. The log is named, since the built-in one may not be ours to write."""
    return ["-c", str(places.servers / "nginx.conf"), "-e", "stderr"]


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON's strings and lists of strings are TOML's."""
    lines = []
    for name, members in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in members.items())]
    return "\n".join(lines) + "\n"
