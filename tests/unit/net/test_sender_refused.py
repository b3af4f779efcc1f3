"""What is never sent: to private addresses, by other schemes, with a user name or a broken header."""

from __future__ import annotations

import pytest

from receiver.logs import mask_text
from receiver.net.errors import SendError
from receiver.net.sender import GuardedSender
from tests.doubles.web_servers import Server
from tests.unit.net.sending import OK, kind_of, post


def test_private_address_is_refused(sender: GuardedSender) -> None:
    with Server(OK) as server:
        assert kind_of(sender, server, allow_private=False) == "refused_address"
    assert server.connections == 0


def test_name_is_resolved_once() -> None:
    """A name that turns private after the check (rebinding) gains nothing: the checked address is the one used."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    sender = GuardedSender(resolver=rebinding)
    with Server(OK) as server:
        assert post(sender, server).status == 200
        assert asked == ["peer.example"]
        assert kind_of(sender, server) == "refused_address"
    sender.close()


@pytest.mark.parametrize(
    "url",
    ["ftp://peer.example/", "file:///etc/hosts", "gopher://peer.example/", "peer.example", "http://", "http://[::1/"],
)
def test_other_schemes_are_refused(sender: GuardedSender, url: str) -> None:
    with pytest.raises(SendError) as caught:
        sender.post(url, headers={}, body=b"", allow_private=True)
    assert caught.value.kind == "protocol"
    # What looks like an address is defanged where people read it, and then the advice would be wrong.
    assert mask_text(str(caught.value)) == str(caught.value)


def test_user_in_address_is_refused(sender: GuardedSender) -> None:
    with pytest.raises(SendError, match="user name"):
        sender.get("http://u:p@peer.example/", allow_private=True)


def test_header_injection_is_refused(sender: GuardedSender) -> None:
    with pytest.raises(SendError) as caught:
        sender.post("http://peer.example/", headers={"x": "a\r\nb: c"}, body=b"", allow_private=True)
    assert caught.value.kind == "protocol"
