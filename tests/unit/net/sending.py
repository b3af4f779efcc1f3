"""One request to a server of ours, and the kind of its failure."""

from __future__ import annotations

from typing import Any

import pytest

from receiver.domain.ports import SentResponse
from receiver.net.errors import SendError
from receiver.net.sender import GuardedSender
from tests.doubles.web_servers import Server, answer, saying

OK = saying(answer(200, b"thanks"))


def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def post(sender: GuardedSender, server: Server | int, path: str = "/cb?x=1", **more: Any) -> SentResponse:
    port = server if isinstance(server, int) else server.port
    scheme = "https" if isinstance(server, Server) and server.tls else "http"
    more.setdefault("allow_private", True)
    more.setdefault("headers", {"content-type": "application/json"})
    return sender.post(f"{scheme}://peer.example:{port}{path}", body=b'{"a": 1}', **more)


def kind_of(sender: GuardedSender, server: Server | int, **more: Any) -> str:
    with pytest.raises(SendError) as caught:
        post(sender, server, "/secret-path", **more)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "secret-path" not in str(shown)
        shown = shown.__cause__
    return caught.value.kind
