"""Calls to people; the queue shows those that nobody acknowledged."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.services.persons import Role

blueprint = Blueprint("alerts", __name__, url_prefix="/pages")


@blueprint.post("/<page>/acknowledge")
@guard.page(Role.REVIEWER)
def acknowledge(page: str) -> ResponseReturnValue:
    services().desk.acknowledge(page, me())
    flash("Acknowledged: it is yours now.")
    return redirect(url_for("queue.show"), 303)
