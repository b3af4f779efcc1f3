"""The services behind the request at hand."""

from __future__ import annotations

from typing import cast

from flask import current_app, g

from receiver.services.admin import AdminServices
from receiver.services.persons import Person

KEY = "takedown"


def services() -> AdminServices:
    return cast(AdminServices, current_app.extensions[KEY])


def me() -> Person:
    """Who asks. Only behind a guard, which has put them there."""
    return cast(Person, g.person)


def me_or_nobody() -> Person | None:
    return cast("Person | None", g.get("person"))
