"""What can be asked."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.admin.paging import next_key
from receiver.domain.status import ItemStatus
from receiver.services.admin_errors import BadInputError
from receiver.services.persons import Role

blueprint = Blueprint("api_reading", __name__)


@blueprint.get("/cases")
@guard.api(Role.VIEWER)
def cases() -> ResponseReturnValue:
    asked = request.args
    rows = services().lists.cases(state=asked.get("state"), issuer=asked.get("issuer"), after=asked.get("after"))
    return {"cases": rows, "next": next_key(rows, "after")}


@blueprint.get("/cases/<code>")
@guard.api(Role.VIEWER)
def case(code: str) -> ResponseReturnValue:
    return services().lists.case(services().review.case_id(code), me())


@blueprint.get("/items")
@guard.api(Role.VIEWER)
def items() -> ResponseReturnValue:
    status = request.args.get("status", ItemStatus.REVIEW.value)
    if status not in {known.value for known in ItemStatus}:
        raise BadInputError("there is no such status")
    rows = services().lists.items(status, after=request.args.get("after"))
    return {"items": rows, "next": next_key(rows, "item")}


@blueprint.get("/items/<item>")
@guard.api(Role.VIEWER)
def item(item: str) -> ResponseReturnValue:
    return services().lists.item(item, me())


@blueprint.get("/decisions")
@guard.api(Role.VIEWER)
def decisions() -> ResponseReturnValue:
    return {"decisions": services().lists.decisions()}


@blueprint.get("/dead-letters")
@guard.api(Role.VIEWER)
def dead_letters() -> ResponseReturnValue:
    rows = services().lists.dead_letters(after=request.args.get("after"))
    return {"dead_letters": rows, "next": next_key(rows, "event")}


@blueprint.get("/pauses")
@guard.api(Role.VIEWER)
def pauses() -> ResponseReturnValue:
    return {"pauses": services().lists.pauses()}
