"""The public face: a Flask application over the route table. It parses nothing; services judge the raw request."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from receiver.api import problems
from receiver.api.openapi import OPENAPI_PATH, openapi_bytes
from receiver.api.raw import read_request
from receiver.api.routes import ROUTES, Route
from receiver.services.answers import JSON, Answer
from receiver.services.errors import RefusedError, too_many
from receiver.services.web import WebServices

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OnFailure = Callable[[BaseException], None]
_LOG = logging.getLogger("receiver.web")


class _NoticeId(BaseConverter):
    """Anything else cannot be a notice of ours."""

    regex = r"[A-Za-z0-9._:-]{1,128}"


class _PublicFlask(Flask):
    on_failure: OnFailure = staticmethod(lambda _: None)

    def log_exception(self, exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None]) -> None:
        """Where it happened, but no message: messages of libraries may repeat what was sent."""
        kind, error, _ = exc_info
        _LOG.error("request.failed", extra={"error": getattr(kind, "__name__", ""), "at": _places(error)})
        if error is not None:
            self.on_failure(error)


def create_public_app(services: WebServices, *, on_failure: OnFailure | None = None) -> Flask:
    """All addresses of the public port. `on_failure` hears of every mistake of our own, before it is answered."""
    app = _PublicFlask("receiver.api", static_folder=None)
    if on_failure is not None:
        app.on_failure = on_failure
    app.config.update(PROPAGATE_EXCEPTIONS=False, TRAP_HTTP_EXCEPTIONS=False)
    app.url_map.merge_slashes = False
    app.url_map.converters["notice_id"] = _NoticeId
    for route in ROUTES:
        _add(app, route.path, route.operation, route.method, _view(services, route))
    document = Answer(status=200, headers={"Content-Type": JSON}, body=openapi_bytes())
    _add(app, OPENAPI_PATH, "openapi", "GET", lambda: _response(document))
    app.register_error_handler(HTTPException, _refuse_http)
    app.before_request(_refuse_hidden_slash)
    app.after_request(_harden)
    return app


def _add(app: Flask, path: str, name: str, method: str, view: Callable[..., Response]) -> None:
    rule = path.replace("{notice_id}", "<notice_id:notice_id>")
    app.add_url_rule(rule, name, view, methods=[method], provide_automatic_options=False)


def _view(services: WebServices, route: Route) -> Callable[..., Response]:
    def answer(**path: str) -> Response:
        try:
            raw = read_request(request.environ, max_body_bytes=services.max_body_bytes)
            return _response(route.handler(services, raw, path))
        except RefusedError as refusal:
            return _response(_refuse(services, route.operation, refusal))

    return answer


def _refuse(services: WebServices, what: str, refusal: RefusedError) -> Answer:
    """Count it and say so in the log, unless the address has filled enough of our log already."""
    services.metrics.count_refused(what, refusal.status, refusal.reason)
    if refusal.unsigned:
        wait_seconds = services.unsigned_limit.take(sender_of(request.remote_addr))
        if wait_seconds is not None:
            return problems.refused(too_many(wait_seconds))
    why = {"what": what, "status": refusal.status, "reason": refusal.reason, "key_id": refusal.key_id}
    _LOG.warning("request.refused", extra=why)
    return problems.refused(refusal)


def sender_of(address: str | None) -> str:
    """An IPv4 address, or the network of an IPv6 one, since one sender has all addresses of it."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def _refuse_hidden_slash() -> None:
    """`/v1%2fnotices` is another address than `/v1/notices`, to every proxy in front that lets some paths through."""
    if "%2f" in request.environ["RAW_URI"].partition("?")[0].lower():
        abort(404)


def _refuse_http(error: HTTPException) -> Response:
    status = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return _response(problems.plain(status, headers=headers))


def _response(answer: Answer) -> Response:
    return Response(answer.body, status=answer.status, headers=dict(answer.headers))


def _harden(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _places(error: BaseException | None) -> list[str]:
    trace: Any = error.__traceback__ if error is not None else None
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return found[-8:]
