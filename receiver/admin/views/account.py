"""One's own password and API tokens."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.admin.forms import PasswordForm, TokenForm
from receiver.admin.views.sign_in import begin
from receiver.services.admin_errors import BadInputError, TooManyTriesError
from receiver.services.persons import Role
from receiver.services.shown import when

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("/password")
@guard.page()
def password() -> ResponseReturnValue:
    return render_template("admin/account/password.html", form=PasswordForm())


@blueprint.post("/password")
@guard.page()
def change_password() -> ResponseReturnValue:
    typed = PasswordForm()
    if not typed.validate_on_submit():
        return render_template("admin/account/password.html", form=typed), 422
    try:
        secret = services().sign_in.change_password(me(), typed.old.data, typed.new.data)
    except (BadInputError, TooManyTriesError) as error:
        typed.new.errors = [str(error)]
        return render_template("admin/account/password.html", form=typed), error.status
    begin(secret)
    flash("Your password is changed; every other session of yours has ended.")
    return redirect(url_for("queue.show"), 303)


@blueprint.get("/")
@guard.page(Role.VIEWER)
def show() -> ResponseReturnValue:
    return _show(TokenForm())


@blueprint.post("/tokens")
@guard.page(Role.VIEWER)
def issue_token() -> ResponseReturnValue:
    typed = TokenForm()
    if not typed.validate_on_submit():
        return _show(typed), 422
    name = me().name
    token = services().people.issue_token(name, typed.name.data, typed.scope.data, typed.days.data, actor=name)
    return _show(TokenForm(formdata=None), token=token)


@blueprint.post("/tokens/<token>/revoke")
@guard.page(Role.VIEWER)
def revoke_token(token: str) -> ResponseReturnValue:
    services().people.revoke_token(token, actor=me().name, owner=me().name)
    flash("That token works no more.")
    return redirect(url_for("account.show"), 303)


def _show(typed: TokenForm, *, token: str | None = None) -> str:
    held = [
        {"id": t.id, "name": t.name, "scope": t.scope, "expires_at": when(t.expires_at)}
        for t in services().people.tokens(me().name)
    ]
    return render_template("admin/account/detail.html", form=typed, tokens=held, token=token)
