"""`send` against the public side under its real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from receiver.cli import main
from receiver.client.errors import ClientError, ReceiptError
from receiver.client.send import IssuerClient, send_notice
from receiver.client.wire import origin_of
from receiver.verification.signing import SigningKey
from tests.doubles.public_server import PublicServer, public_server
from tests.doubles.web_side import direction_json, notice_json, to_bytes
from tests.support import free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with public_server(tmp_path_factory.mktemp("send")) as running:
        yield running


@pytest.fixture
def client(server: PublicServer) -> IssuerClient:
    return IssuerClient(to=server.origin, key=server.hotline.key, key_id="hotline-1")


def key_file(folder: Path, key: Ed25519PrivateKey) -> Path:
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_file_is_sent_and_proved(server: PublicServer, tmp_path: Path) -> None:
    notice = tmp_path / "notice.json"
    notice.write_text(json.dumps(notice_json(notice_id="file")))
    how: dict[str, Any] = {"key_file": key_file(tmp_path, server.hotline.key), "key_id": "hotline-1"}
    sent = send_notice(notice, server.origin, **how)
    assert sent.accepted
    assert "item 1: received" in sent.lines()
    again = send_notice(notice, server.origin, jwks_file=server.folder / "keys" / "public.jwks.json", **how)
    assert again.body == sent.body


def test_other_layout_is_noticed(client: IssuerClient) -> None:
    client.hand_in(to_bytes(notice_json(notice_id="layout")))
    again = client.hand_in(json.dumps(notice_json(notice_id="layout"), indent=1).encode())
    assert again.accepted
    assert not again.same_text
    assert any("first receipt" in line for line in again.lines())


def test_status_and_directions_are_asked(client: IssuerClient) -> None:
    client.hand_in(to_bytes(notice_json(notice_id="asked")))
    assert client.status("asked").body["items"][0]["status"] == "received"
    sent = client.direct("asked", to_bytes(direction_json(direction_id="D-9")))
    assert (sent.status, sent.body["direction_id"]) == (202, "D-9")


def test_typed_direction_is_about_its_notice(client: IssuerClient, server: PublicServer, tmp_path: Path) -> None:
    client.hand_in(to_bytes(notice_json(notice_id="typed")))
    direction = tmp_path / "withdraw.json"
    direction.write_bytes(to_bytes(direction_json(direction_id="D-10")))
    words = ["send", str(direction), "--to", server.origin, "--key-id", "hotline-1"]
    words += ["--key", str(key_file(tmp_path, server.hotline.key)), "--about", "typed"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert {"notice_id: typed", "direction_id: D-10"} <= set(done.output.splitlines())
    assert CliRunner().invoke(main, [*words, "--listen", "127.0.0.1:0"]).exit_code == 2


def test_refusal_is_said_clearly(client: IssuerClient) -> None:
    sent = client.hand_in(to_bytes(notice_json(notice_id="no", kind="other", category="CSAM")))
    assert not sent.accepted
    assert sent.lines()[0] == "refused with 422 invalid-notice"
    assert any(line.startswith("  /kind: must be one of") for line in sent.lines())


def test_replay_points_to_the_status(client: IssuerClient, server: PublicServer) -> None:
    body = to_bytes(notice_json(notice_id="replay"))
    client.hand_in(body, nonce="n" * 30)
    sent = client.hand_in(to_bytes(notice_json(notice_id="replay-2")), nonce="n" * 30)
    assert sent.lines()[0] == "refused with 409 nonce-used"


def test_receipt_of_another_key_is_none(server: PublicServer) -> None:
    stranger = SigningKey.named_by_thumbprint(Ed25519PrivateKey.generate())
    jwks = json.dumps({"keys": [stranger.public_jwk()]}).encode()
    client = IssuerClient(to=server.origin, key=server.hotline.key, key_id="hotline-1", jwks=jwks)
    with pytest.raises(ReceiptError, match="key-unknown"):
        client.hand_in(to_bytes(notice_json(notice_id="impostor")))


def test_unreachable_receiver_is_named() -> None:
    client = IssuerClient(to=f"http://127.0.0.1:{free_port()}", key=Ed25519PrivateKey.generate(), key_id="k")
    with pytest.raises(ClientError, match="no answer"):
        client.hand_in(b"{}")


@pytest.mark.parametrize(("status", "error"), [(202, ReceiptError), (502, None), (301, None)])
def test_answers_of_others_are_no_receipts(status: int, error: type[Exception] | None) -> None:
    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        address = f"http://127.0.0.1:{proxy.server_port}"
        client = IssuerClient(to=address, key=Ed25519PrivateKey.generate(), key_id="k")
        if error is None:
            sent = client.hand_in(to_bytes(notice_json()))
            assert not sent.accepted
            assert "in front of it" in sent.lines()[1]
        else:
            with pytest.raises(error):
                client.hand_in(to_bytes(notice_json()))
        proxy.shutdown()


def test_addresses_become_origins() -> None:
    assert origin_of("https://Notices.Host.example:443/v1/notices") == "https://notices.host.example"
    assert origin_of("http://[::1]:8440/") == "http://[::1]:8440"
    for bad in ("notices.host.example", "ftp://x", "https://", "https://u:p@x/", "https://x:99999/", "http://["):
        with pytest.raises(ClientError):
            origin_of(bad)


def test_bad_files_are_named(server: PublicServer, tmp_path: Path) -> None:
    notice = tmp_path / "notice.json"
    notice.write_text("{}")
    with pytest.raises(ClientError, match="cannot be read"):
        send_notice(notice, server.origin, key_file=tmp_path / "none.pem", key_id="k")
    with pytest.raises(ClientError, match="no private key"):
        send_notice(notice, server.origin, key_file=notice, key_id="k")
    with pytest.raises(ClientError, match="key id"):
        send_notice(notice, server.origin, key_file=key_file(tmp_path, server.hotline.key), key_id="a b")
