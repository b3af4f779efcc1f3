"""Cases: list, detail, and the two acts on one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from receiver.admin import guard
from receiver.admin.context import me, services
from receiver.admin.forms import ReleaseForm
from receiver.admin.paging import next_key
from receiver.domain.ids import parse_case_code
from receiver.domain.status import Exposure
from receiver.services.persons import Role

blueprint = Blueprint("cases", __name__, url_prefix="/cases")
STATES = ("open_", *(state.value for state in Exposure))


@blueprint.get("/")
@guard.page(Role.VIEWER)
def show_all() -> ResponseReturnValue:
    state, issuer = request.args.get("state") or "open_", request.args.get("issuer") or None
    rows = services().lists.cases(
        state=state if state in STATES else "open_", issuer=issuer, after=request.args.get("after")
    )
    return render_template(
        "admin/cases/list.html",
        cases=rows,
        states=STATES,
        state=state,
        issuer=issuer,
        following=next_key(rows, "after"),
    )


@blueprint.get("/<code>")
@guard.page(Role.VIEWER)
def show(code: str) -> ResponseReturnValue:
    return _show(code, ReleaseForm())


@blueprint.post("/<code>/release")
@guard.page(Role.REVIEWER)
def release(code: str) -> ResponseReturnValue:
    typed = ReleaseForm()
    if not typed.validate_on_submit():
        return _show(code, typed), 422
    if parse_case_code(typed.code.data) != parse_case_code(code):
        typed.code.errors = ["This is not the code of this case."]
        return _show(code, typed), 422
    said = services().review.release_case(code, me(), typed.reason.data)
    flash("Released." if said.state == "approved" else "Asked for; another person has to agree within 24 hours.")
    return redirect(url_for("cases.show", code=code), 303)


@blueprint.post("/<code>/retry")
@guard.page(Role.REVIEWER)
def retry(code: str) -> ResponseReturnValue:
    services().review.retry_case(code, me())
    flash("Due again; the worker goes on from where it stood.")
    return redirect(url_for("cases.show", code=code), 303)


def _show(code: str, typed: ReleaseForm) -> str:
    found = services().lists.case(services().review.case_id(code), me())
    return render_template("admin/cases/detail.html", case=found, form=typed)
