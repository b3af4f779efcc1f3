"""All that the public face is given, as one value. `wiring` builds it, once per process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from receiver.services.documents import DocumentService
from receiver.services.health import Health
from receiver.services.limits import RateLimit
from receiver.services.metrics import WebMetrics
from receiver.services.notices import NoticeService
from receiver.steps.admission import WebPorts
from receiver.steps.signed_answers import AnswerSigner


@dataclass(frozen=True, kw_only=True)
class WebServices:
    notices: NoticeService
    documents: DocumentService
    health: Health
    metrics: WebMetrics
    unsigned_limit: RateLimit
    """Requests without a good signature, by address."""
    max_body_bytes: int
    close: Callable[[], None]
    """Ends the process's own threads and connections."""


def make_web_services(
    *,
    ports: WebPorts,
    signer: AnswerSigner,
    public_jwks: Mapping[str, Any],
    write: Callable[[], None],
    max_unsigned_per_minute: int,
    close: Callable[[], None],
    metrics: WebMetrics | None = None,
) -> WebServices:
    """Join the use cases over one set of ports. `write` is the small write that tells whether we can record."""
    metrics = metrics or WebMetrics()
    return WebServices(
        notices=NoticeService(web=ports, signer=signer, metrics=metrics),
        documents=DocumentService(web=ports, signer=signer, public_jwks=public_jwks),
        health=Health(write=write, clock=ports.clock),
        metrics=metrics,
        unsigned_limit=RateLimit(max_unsigned_per_minute, ports.clock),
        max_body_bytes=ports.limits.max_body_bytes,
        close=close,
    )
