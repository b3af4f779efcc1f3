"""What can be done."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.services.admin_errors import BadInputError
from receiver.services.persons import Role

blueprint = Blueprint("api_deciding", __name__)


@blueprint.post("/cases/<code>/release")
@guard.api(Role.REVIEWER)
def release(code: str) -> ResponseReturnValue:
    return asdict(services().review.release_case(code, me(), _text("reason")))


@blueprint.post("/cases/<code>/retry")
@guard.api(Role.REVIEWER)
def retry(code: str) -> ResponseReturnValue:
    return asdict(services().review.retry_case(code, me()))


@blueprint.post("/items/<item>/approve")
@guard.api(Role.REVIEWER)
def approve(item: str) -> ResponseReturnValue:
    return asdict(services().review.approve_item(item, me(), _text("reason")))


@blueprint.post("/items/<item>/refuse")
@guard.api(Role.REVIEWER)
def refuse(item: str) -> ResponseReturnValue:
    return asdict(services().review.refuse_item(item, me(), _text("reason")))


@blueprint.post("/decisions/<decision>/agree")
@guard.api(Role.APPROVER)
def agree(decision: str) -> ResponseReturnValue:
    return asdict(services().review.agree(decision, me()))


@blueprint.post("/decisions/<decision>/decline")
@guard.api(Role.APPROVER)
def decline(decision: str) -> ResponseReturnValue:
    return asdict(services().review.decline(decision, me(), _text("reason")))


@blueprint.post("/notices/<notice>/resend")
@guard.api(Role.REVIEWER)
def resend(notice: str) -> ResponseReturnValue:
    return {"events": services().desk.resend_dead(notice, me())}


@blueprint.post("/pauses")
@guard.api(Role.APPROVER)
def pause() -> ResponseReturnValue:
    services().desk.pause(_text("scope"), me())
    return {"pauses": services().lists.pauses()}


@blueprint.delete("/pauses/<scope>")
@guard.api(Role.APPROVER)
def resume(scope: str) -> ResponseReturnValue:
    services().desk.resume(scope, me())
    return {"pauses": services().lists.pauses()}


def _text(name: str) -> str:
    """A member of the JSON body; empty where it is not there. Raises BadInputError for anything but text."""
    body = request.get_json(silent=True)
    value = body.get(name, "") if isinstance(body, dict) else ""
    if not isinstance(value, str):
        raise BadInputError(f"{name} must be text")
    return value
