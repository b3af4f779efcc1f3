"""An item in review, and a person's yes or no."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.admin.forms import ReasonForm
from receiver.services.persons import Role

blueprint = Blueprint("items", __name__, url_prefix="/items")


@blueprint.get("/<item>")
@guard.page(Role.VIEWER)
def show(item: str) -> ResponseReturnValue:
    return _show(item, ReasonForm())


@blueprint.post("/<item>/approve")
@guard.page(Role.REVIEWER)
def approve(item: str) -> ResponseReturnValue:
    typed = ReasonForm()
    if not typed.validate_on_submit():
        return _show(item, typed), 422
    services().review.approve_item(item, me(), typed.reason.data)
    flash("Approved; the worker acts on it now.")
    return redirect(url_for("items.show", item=item), 303)


@blueprint.post("/<item>/refuse")
@guard.page(Role.REVIEWER)
def refuse(item: str) -> ResponseReturnValue:
    typed = ReasonForm()
    if not typed.validate_on_submit():
        return _show(item, typed), 422
    said = services().review.refuse_item(item, me(), typed.reason.data)
    flash("Refused; its issuer hears so." if said.state == "approved" else "Asked for; another person has to agree.")
    return redirect(url_for("items.show", item=item), 303)


def _show(item: str, typed: ReasonForm) -> str:
    return render_template("admin/items/detail.html", item=services().lists.item(item, me()), form=typed)
