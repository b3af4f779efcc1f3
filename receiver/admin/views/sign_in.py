"""In and out. A new session has a new secret, whatever cookie the browser came with."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import services
from receiver.admin.forms import SignInForm
from receiver.services.admin_errors import BadInputError, TooManyTriesError

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
def form() -> ResponseReturnValue:
    return _show(SignInForm())


@blueprint.post("/sign-in")
def enter() -> ResponseReturnValue:
    typed = SignInForm()
    if not typed.validate_on_submit():
        return _show(typed), 422
    try:
        secret = services().sign_in.sign_in(
            typed.name.data, typed.password.data, address=request.remote_addr or "socket"
        )
    except (BadInputError, TooManyTriesError) as error:
        typed.password.errors = [str(error)]
        return _show(typed), error.status
    begin(secret)
    return redirect(url_for("queue.show"), 303)


@blueprint.post("/sign-out")
@guard.page()
def leave() -> ResponseReturnValue:
    services().sign_in.sign_out(session[guard.SECRET])
    session.clear()
    flash("You are signed out.")
    return redirect(url_for("sign_in.form"), 303)


def begin(secret: str) -> None:
    session.clear()
    session[guard.SECRET] = secret


def _show(typed: SignInForm) -> str:
    nobody = services().sign_in.nobody_yet()
    return render_template("admin/sign_in/form.html", form=typed, nobody=nobody)
