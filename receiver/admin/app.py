"""The staff side: pages that work without scripts, and the API of the command line. One blueprint for each noun."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType

from flask import Flask, Response, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException

from receiver.admin import api, problems
from receiver.admin.context import KEY, me_or_nobody
from receiver.admin.headers import harden
from receiver.admin.views import (
    account,
    alerts,
    cases,
    dead_letters,
    decisions,
    items,
    ledger,
    pauses,
    queue,
    sign_in,
    system,
)
from receiver.domain.errors import StoreUnavailableError
from receiver.services.admin import AdminServices
from receiver.services.admin_errors import StaffError

MAX_BODY_BYTES = 64 * 1024
NOUNS = (sign_in, account, queue, cases, items, decisions, dead_letters, pauses, alerts, ledger, system)
_LOG = logging.getLogger("receiver.admin")


OnFailure = Callable[[BaseException], None]


class _AdminFlask(Flask):
    on_failure: OnFailure = staticmethod(lambda _: None)

    def log_exception(self, exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None]) -> None:
        """What kind of error it was and where; messages of libraries may repeat what was sent."""
        kind, error, _ = exc_info
        trace = error.__traceback__ if error is not None else None
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        at = "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        _LOG.error("request.failed", extra={"error": getattr(kind, "__name__", ""), "at": at})
        if error is not None:
            self.on_failure(error)


def create_admin_app(services: AdminServices, *, on_failure: OnFailure | None = None) -> Flask:
    """All addresses of the staff port. `on_failure` hears of every mistake of our own, before it is answered."""
    app = _AdminFlask("receiver.admin", static_folder="static", template_folder="templates")
    if on_failure is not None:
        app.on_failure = on_failure
    app.config.update(
        SECRET_KEY=services.cookie_key,
        SESSION_COOKIE_NAME="__Host-takedown" if services.https else "takedown",
        SESSION_COOKIE_SECURE=services.https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PATH="/",
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        PROPAGATE_EXCEPTIONS=False,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.extensions[KEY] = services
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    csrf = CSRFProtect(app)
    for noun in NOUNS:
        app.register_blueprint(noun.blueprint)
    for part in api.PARTS:
        csrf.exempt(part.blueprint)
        app.register_blueprint(part.blueprint, url_prefix=api.PREFIX)
    app.register_error_handler(StaffError, _refuse)
    app.register_error_handler(StoreUnavailableError, _unavailable)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _refuse_http)
    app.after_request(lambda response: harden(response, https=services.https))
    app.context_processor(lambda: _on_every_page(services))
    return app


def _on_every_page(services: AdminServices) -> dict[str, object]:
    person = me_or_nobody()
    banner = services.lists.banner() if person is not None and person.role is not None else ()
    return {"me": person, "banner": banner}


def _refuse(error: StaffError) -> Response:
    return _say(error.status, error.slug, "That was not done", str(error))


def _unavailable(_error: StoreUnavailableError) -> Response:
    return _say(503, "not-recorded", "The database is away", "Nothing was done. Try again in a moment.")


def _forged(_error: CSRFError) -> Response:
    words = "The form was too old or did not come from these pages. Open the page again and send it anew."
    return _say(400, "form-refused", "That was not done", words)


def _refuse_http(error: HTTPException) -> Response:
    status = error.code or 500
    words = "There is nothing here." if status == 404 else "The request cannot be answered."
    response = _say(status, error.name.lower().replace(" ", "-"), error.name, words)
    allow = dict(error.get_headers()).get("Allow")
    if allow:
        response.headers["Allow"] = allow
    return response


def _say(status: int, slug: str, title: str, words: str) -> Response:
    if request.path.startswith(api.PREFIX + "/"):
        return problems.problem(status, slug, title, detail=words)
    return Response(render_template("admin/error.html", title=title, words=words), status=status)
