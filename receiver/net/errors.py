"""Errors of the guarded sender. None holds a URL, a path or an answer: callback addresses may carry secrets."""

from __future__ import annotations

from enum import StrEnum

from receiver.domain.errors import DeliveryError


class SendFailure(StrEnum):
    """Which part of sending failed."""

    REFUSED_ADDRESS = "refused_address"
    DNS = "dns"
    CONNECT = "connect"
    TIMEOUT = "timeout"
    TLS = "tls"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"


class SendError(DeliveryError):
    """Nothing usable came back. Every kind may pass by itself, so the caller decides whether to try again."""

    def __init__(self, kind: SendFailure, message: str) -> None:
        super().__init__(message)
        self.kind = kind
