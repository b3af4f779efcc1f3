"""Around one host: a customer's site, an issuer with a key of its own, and what the people there type."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.client.listen import Listener, listen_with_keys
from receiver.client.send import IssuerClient
from receiver.demo.builtin_site import BuiltInSite
from receiver.demo.picture import colour_field
from receiver.vault import age
from receiver.verification.signing import SigningKey
from tests.image.host import OWN_ID, Host
from tests.support import free_port

SITE = "pictures.example"
ISSUER, KEY_ID, CATEGORY = "hotline", "hotline-1", "test"
PICTURE = "/gallery/field.png"
CUSTODIANS = 2
GET_SECONDS = 20.0
# As docs/operating.md, "Container", says.
STORE = """
[adapters.www]
type = "filesystem"
root = "/srv/www"
quarantine_dir = "/srv/.quarantine"
agent = "unix:agent/agent.sock"
"""
AGENT = f"""
socket = "/var/lib/takedown/agent/agent.sock"
allow_uids = [{OWN_ID}]
socket_group = {OWN_ID}

[filesystems.www]
root = "/srv/www"
quarantine_dir = "/srv/.quarantine"
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    host: Host
    listener: Listener
    client: IssuerClient
    picture: bytes
    port: int

    @property
    def path(self) -> Path:
        return self.host.files / "www" / PICTURE.lstrip("/")

    def public_status(self) -> int:
        """As a visitor gets it."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GET_SECONDS)
        try:
            link.request("GET", PICTURE, headers={"Host": SITE})
            return link.getresponse().status
        finally:
            link.close()

    def notice(self) -> bytes:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        item = {
            "item_id": "1",
            "url": f"http://{SITE}{PICTURE}",
            "hashes": {"sha256": hashlib.sha256(self.picture).hexdigest()},
        }
        return json.dumps({
            "schema": "takedown-notice/1",
            "notice_id": "N-1",
            "issuer": ISSUER,
            "issued_at": now,
            "category": CATEGORY,
            "items": [item],
        }).encode()  # fmt: skip


def begin(host: Host) -> str:
    """The first command on a new host."""
    return host.cli("init", "/etc/takedown", "--origin", f"http://127.0.0.1:{host.public_port}")


def name_stores(host: Host) -> None:
    """What people write by hand after `init`: custodians, the store, what the agent may touch."""
    keys = "".join(f"{age.new_identity()[1]}\n" for _ in range(CUSTODIANS))
    _edit(host, "keys/custodians.txt", keys)
    config = host.settings / "config.toml"
    _edit(host, "config.toml", config.read_text(encoding="utf-8") + STORE)
    _edit(host, "agent.toml", AGENT)
    (host.files / "www" / "gallery").mkdir(parents=True)


@contextmanager
def open_site(host: Host) -> Iterator[Site]:
    """The customer's picture is served, the issuer is known and listens; `begin` and `name_stores` went before."""
    key = Ed25519PrivateKey.generate()
    ours = (host.settings / "keys" / "public.jwks.json").read_bytes()
    port = free_port()
    with ExitStack() as open_now:
        listener = open_now.enter_context(listen_with_keys(ours))
        jwk = SigningKey(key_id=KEY_ID, private_key=key).public_jwk()
        _edit(host, "hotline.jwks.json", json.dumps({"keys": [jwk]}))
        host.cli(
            *("issuer", "add", ISSUER, "--name", "Hotline", "--keys-file", "/etc/takedown/hotline.jwks.json"),
            *("--category", f"{CATEGORY}=act", "--callback-url", listener.url, "--allow-private-callback", "--yes"),
        )
        host.cli(
            *("route", "add", SITE, "--customer", "acme", "--storage", "www", "--key", "{path}"),
            *("--look-at", f"127.0.0.1:{port}"),
        )
        site = Site(
            host=host,
            listener=listener,
            client=IssuerClient(to=f"http://127.0.0.1:{host.public_port}", key=key, key_id=KEY_ID, jwks=ours),
            picture=colour_field(1),
            port=port,
        )
        site.path.write_bytes(site.picture)
        served = BuiltInSite(host.files / "www", port, SITE, 0)
        open_now.callback(served.close)
        yield site


def _edit(host: Host, name: str, text: str) -> None:
    """As root on the host, whose files the containers' user must be able to read."""
    path = host.settings / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    os.chown(path, OWN_ID, OWN_ID)
