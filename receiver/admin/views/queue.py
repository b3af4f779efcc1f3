"""What waits for a person."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import services
from receiver.admin.paging import next_key
from receiver.services.persons import Role

blueprint = Blueprint("queue", __name__)


@blueprint.get("/")
@guard.page(Role.VIEWER)
def show() -> ResponseReturnValue:
    lists = services().lists
    items = lists.items("review", after=request.args.get("after"))
    return render_template(
        "admin/queue/list.html",
        items=items,
        following=next_key(items, "item"),
        decisions=lists.decisions(),
        stuck=lists.stuck(),
        pages=lists.pages(),
    )
