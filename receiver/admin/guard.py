"""Who may come in: every route stands behind one of these guards, all of them Flask-HTTPAuth's.

Pages take the session in the cookie and nothing else; the API takes bearer tokens and nothing else, which is why it
needs no token against forged requests. The figures take either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from flask import Response, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_httpauth import HTTPAuth, HTTPTokenAuth, MultiAuth
from werkzeug.datastructures import Authorization
from werkzeug.wrappers import Response as AnyResponse

from receiver.admin import problems
from receiver.admin.context import me_or_nobody, services
from receiver.services.persons import METRICS, Person, Role

SECRET = "sid"  # noqa: S105 - the name under which the cookie carries it
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


class Guard(Protocol):
    """Wraps a view, whose form stays as it is."""

    def __call__(self, view: View, /) -> View: ...


class SessionAuth(HTTPAuth):  # type: ignore[misc]  # flask_httpauth ships no types
    """The session's secret, carried by the signed cookie, as credentials."""

    def is_compatible_auth(self, headers: Any) -> bool:
        return "Authorization" not in headers

    def get_auth(self) -> Authorization | None:
        secret = session.get(SECRET)
        return Authorization("session", token=secret) if isinstance(secret, str) else None

    def authenticate(self, auth: Authorization | None, _stored_password: object) -> Person | None:
        person = services().sign_in.by_session(auth.token) if auth is not None and auth.token else None
        g.person = person
        return person


pages = SessionAuth(scheme="Session", realm="takedown receiver")
tokens = HTTPTokenAuth(scheme="Bearer", realm="takedown receiver")
either = MultiAuth(tokens, pages)


def page(role: Role | None = None) -> Guard:
    """A page for this role and those above it; None: for whoever is signed in."""
    guard: Guard = pages.login_required(role=None if role is None else role.value)
    return guard


def api(role: Role) -> Guard:
    guard: Guard = tokens.login_required(role=role.value)
    return guard


def figures() -> Guard:
    guard: Guard = either.login_required(role=METRICS)
    return guard


@tokens.verify_token  # type: ignore[untyped-decorator]  # flask_httpauth ships no types
def _by_token(token: str) -> Person | None:
    person = services().sign_in.by_token(token) if token else None
    g.person = person
    return person


@tokens.get_user_roles  # type: ignore[untyped-decorator]  # flask_httpauth ships no types
@pages.get_user_roles  # type: ignore[untyped-decorator]  # flask_httpauth ships no types
def _roles(person: Person) -> list[str]:
    return person.roles()


@tokens.error_handler  # type: ignore[untyped-decorator]  # flask_httpauth ships no types
def _refuse_token(status: int) -> Response:
    if status == 401:
        return problems.problem(401, "token-needed", "A valid API token is needed")
    return problems.problem(403, "not-allowed", "This token may not do that")


@pages.error_handler  # type: ignore[untyped-decorator]  # flask_httpauth ships no types
def _refuse_session(status: int) -> AnyResponse | tuple[str, int]:
    person = me_or_nobody()
    if status == 403 and person is not None and person.must_change:
        return redirect(url_for("account.password"), 303)
    if status == 403:
        return render_template("admin/error.html", title="Not allowed", words="Your role may not do that."), 403
    if request.method in ("GET", "HEAD") and request.headers.get("Sec-Fetch-Site") == "cross-site":
        # The browser keeps a strict cookie back when a link in a mail led here; from our own page it sends it.
        return render_template("admin/go_on.html", path=request.path), 401
    if session.pop(SECRET, None) is not None:
        flash("You were signed out; sessions end after 30 minutes without use and after 12 hours.")
    return redirect(url_for("sign_in.form"), 303)
