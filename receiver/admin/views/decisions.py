"""What somebody asked for and somebody else has to agree to."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.admin.forms import ReasonForm
from receiver.services.persons import Role

blueprint = Blueprint("decisions", __name__, url_prefix="/decisions")


@blueprint.get("/")
@guard.page(Role.VIEWER)
def show_all() -> ResponseReturnValue:
    return render_template("admin/decisions/list.html", decisions=services().lists.decisions())


@blueprint.get("/<decision>")
@guard.page(Role.VIEWER)
def show(decision: str) -> ResponseReturnValue:
    return _show(decision, ReasonForm())


@blueprint.post("/<decision>/agree")
@guard.page(Role.APPROVER)
def agree(decision: str) -> ResponseReturnValue:
    said = services().review.agree(decision, me())
    flash("Agreed; the worker does it now." if said.state == "approved" else "Agreed; it needs one more person.")
    return redirect(url_for("decisions.show", decision=decision), 303)


@blueprint.post("/<decision>/decline")
@guard.page(Role.APPROVER)
def decline(decision: str) -> ResponseReturnValue:
    typed = ReasonForm()
    if not typed.validate_on_submit():
        return _show(decision, typed), 422
    services().review.decline(decision, me(), typed.reason.data)
    flash("Declined; everything stays as it is.")
    return redirect(url_for("decisions.show", decision=decision), 303)


def _show(decision: str, typed: ReasonForm) -> str:
    return render_template("admin/decisions/detail.html", decision=services().lists.decision(decision), form=typed)
