"""The head of the history, for whoever compares it with a copy kept elsewhere."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import services
from receiver.services.persons import Role

blueprint = Blueprint("ledger", __name__)


@blueprint.get("/ledger")
@guard.page(Role.VIEWER)
def show() -> ResponseReturnValue:
    return render_template("admin/ledger/detail.html", head=services().lists.ledger_head())
