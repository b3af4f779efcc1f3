"""For machines: is it well, and the figures."""

from __future__ import annotations

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import services
from receiver.services.figures import CONTENT_TYPE

blueprint = Blueprint("system", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Says no more than that; anybody may ask."""
    return Response("ok\n", content_type="text/plain") if services().health.can_record() else ("not well\n", 503)


@blueprint.get("/metrics")
@guard.figures()
def metrics() -> ResponseReturnValue:
    return Response(services().figures.text(), content_type=CONTENT_TYPE)
