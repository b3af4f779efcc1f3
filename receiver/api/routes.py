"""The one table of the public side: it registers the addresses and makes the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from receiver.api import models
from receiver.api.problems import cannot_record
from receiver.domain.notice import UnverifiedRequest
from receiver.services.answers import JSON, Answer, json_answer
from receiver.services.documents import DIRECTORY_PATH, DIRECTORY_TYPE, DISCOVERY_PATH, JWKS_PATH
from receiver.services.web import WebServices

Handler = Callable[[WebServices, UnverifiedRequest, Mapping[str, str]], Answer]
_SIGNED = (400, 401, 409, 413, 415, 421, 429, 431, 503)


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    description: str
    model: type[BaseModel]
    content_type: str = JSON


@dataclass(frozen=True, kw_only=True)
class Route:
    method: str
    path: str
    """As OpenAPI writes it: `/v1/notices/{notice_id}`."""
    operation: str
    summary: str
    handler: Handler
    reply: Reply
    takes: type[BaseModel] | None = None
    problems: tuple[int, ...] = ()
    signed: bool = False
    """A good signature of a known issuer is needed."""
    may_sign: bool = False


def _hand_in(services: WebServices, request: UnverifiedRequest, _: Mapping[str, str]) -> Answer:
    return services.notices.hand_in(request)


def _status(services: WebServices, request: UnverifiedRequest, path: Mapping[str, str]) -> Answer:
    return services.notices.status(request, path["notice_id"])


def _direct(services: WebServices, request: UnverifiedRequest, path: Mapping[str, str]) -> Answer:
    return services.notices.direct(request, path["notice_id"])


def _discovery(services: WebServices, request: UnverifiedRequest, _: Mapping[str, str]) -> Answer:
    return services.documents.discovery(request)


def _directory(services: WebServices, _request: UnverifiedRequest, _: Mapping[str, str]) -> Answer:
    return services.documents.directory()


def _jwks(services: WebServices, _request: UnverifiedRequest, _: Mapping[str, str]) -> Answer:
    return services.documents.jwks()


def _alive(_services: WebServices, _request: UnverifiedRequest, _: Mapping[str, str]) -> Answer:
    return json_answer({"status": "ok"})


def _ready(services: WebServices, _request: UnverifiedRequest, _: Mapping[str, str]) -> Answer:
    return json_answer({"status": "ok"}) if services.health.can_record() else cannot_record()


ROUTES = (
    Route(
        method="POST",
        path="/v1/notices",
        operation="handInNotice",
        summary="Hand in a notice.",
        handler=_hand_in,
        takes=models.Notice,
        reply=Reply(status=202, description="Recorded durably; the receipt is signed.", model=models.Receipt),
        problems=(*_SIGNED, 403, 422),
        signed=True,
    ),
    Route(
        method="GET",
        path="/v1/notices/{notice_id}",
        operation="readStatus",
        summary="The status of every item, and the events so far.",
        handler=_status,
        reply=Reply(status=200, description="Signed, and the same as the callbacks say.", model=models.Status),
        problems=(*_SIGNED, 404),
        signed=True,
    ),
    Route(
        method="POST",
        path="/v1/notices/{notice_id}/directions",
        operation="direct",
        summary="Withdraw, proceed, hold, release a hold, or allow the customer to be told.",
        handler=_direct,
        takes=models.Direction,
        reply=Reply(status=202, description="Recorded durably; the receipt is signed.", model=models.DirectionReceipt),
        problems=(*_SIGNED, 404, 422),
        signed=True,
    ),
    Route(
        method="GET",
        path=DISCOVERY_PATH,
        operation="discover",
        summary="Versions, addresses and limits; asked with a signature, also what the issuer may send.",
        handler=_discovery,
        reply=Reply(status=200, description="What this receiver takes.", model=models.Discovery),
        problems=_SIGNED,
        may_sign=True,
    ),
    Route(
        method="GET",
        path=DIRECTORY_PATH,
        operation="keyDirectory",
        summary="The keys of our answers and callbacks, signed.",
        handler=_directory,
        reply=Reply(
            status=200,
            description="The key set, signed with the response key.",
            model=models.KeySet,
            content_type=DIRECTORY_TYPE,
        ),
    ),
    Route(
        method="GET",
        path=JWKS_PATH,
        operation="keys",
        summary="The same keys as a plain JWK set.",
        handler=_jwks,
        reply=Reply(status=200, description="The key set.", model=models.KeySet),
    ),
    Route(
        method="GET",
        path="/healthz",
        operation="alive",
        summary="Whether the process answers.",
        handler=_alive,
        reply=Reply(status=200, description="It does.", model=models.Health),
    ),
    Route(
        method="GET",
        path="/readyz",
        operation="ready",
        summary="Whether a notice could be recorded now.",
        handler=_ready,
        reply=Reply(status=200, description="It could.", model=models.Health),
        problems=(503,),
    ),
)
