"""Callbacks that were given up."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.admin.paging import next_key
from receiver.services.persons import Role

blueprint = Blueprint("dead_letters", __name__)


@blueprint.get("/dead-letters")
@guard.page(Role.VIEWER)
def show_all() -> ResponseReturnValue:
    rows = services().lists.dead_letters(after=request.args.get("after"))
    return render_template("admin/dead_letters/list.html", letters=rows, following=next_key(rows, "event"))


@blueprint.post("/notices/<notice>/resend")
@guard.page(Role.REVIEWER)
def resend(notice: str) -> ResponseReturnValue:
    count = services().desk.resend_dead(notice, me())
    flash(f"Due again: {count}. See here whether they arrive this time.")
    return redirect(url_for("dead_letters.show_all"), 303)


@blueprint.post("/notices/<notice>/retry")
@guard.page(Role.REVIEWER)
def retry(notice: str) -> ResponseReturnValue:
    services().desk.retry_notice(notice, me())
    flash("The notice is looked at again.")
    return redirect(url_for("queue.show"), 303)
