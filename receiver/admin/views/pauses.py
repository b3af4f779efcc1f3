"""Accept, but do not act."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.admin.forms import PauseForm
from receiver.services.admin_errors import BadInputError
from receiver.services.persons import Role

blueprint = Blueprint("pauses", __name__, url_prefix="/pauses")


@blueprint.get("/")
@guard.page(Role.VIEWER)
def show_all() -> ResponseReturnValue:
    return _show(PauseForm())


@blueprint.post("/")
@guard.page(Role.APPROVER)
def pause() -> ResponseReturnValue:
    typed = PauseForm()
    if not typed.validate_on_submit():
        return _show(typed), 422
    try:
        services().desk.pause(typed.scope.data.strip(), me())
    except BadInputError as error:
        typed.scope.errors = [str(error)]
        return _show(typed), 422
    flash("Paused. Notices are taken, but nothing is done about them.")
    return redirect(url_for("pauses.show_all"), 303)


@blueprint.post("/resume")
@guard.page(Role.APPROVER)
def resume() -> ResponseReturnValue:
    services().desk.resume(request.form.get("scope", ""), me())
    flash("Acting again.")
    return redirect(url_for("pauses.show_all"), 303)


def _show(typed: PauseForm) -> str:
    return render_template("admin/pauses/list.html", pauses=services().lists.pauses(), form=typed)
