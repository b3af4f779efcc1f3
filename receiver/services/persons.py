"""Who somebody is and what they may do. Each role may do all that the ones before it may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from receiver.services.admin_errors import BadInputError, NotAllowedError


class Role(StrEnum):
    VIEWER = "viewer"  # sees cases, without content and with defanged URLs
    REVIEWER = "reviewer"  # decides on items in review, asks for a release
    APPROVER = "approver"  # agrees to what another asked for, pauses
    ADMINISTRATOR = "administrator"  # all of that, and people's accounts


ORDER = (Role.VIEWER, Role.REVIEWER, Role.APPROVER, Role.ADMINISTRATOR)

METRICS = "metrics"
"""Not a person's role: what a token may be good for besides."""


def parse_role(text: str) -> Role:
    """Raises BadInputError naming the roles there are."""
    if text not in {role.value for role in ORDER}:
        raise BadInputError(f"there is no role of that name; known: {', '.join(ORDER)}")
    return Role(text)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who proved to be this account, for one request."""

    name: str
    role: Role | None
    """None: may only change their password, or read figures."""
    must_change: bool = False
    metrics: bool = False

    def may(self, role: Role) -> bool:
        return self.role is not None and ORDER.index(self.role) >= ORDER.index(role)

    def must(self, role: Role) -> None:
        """Raises NotAllowedError."""
        if not self.may(role):
            raise NotAllowedError(f"this needs the role {role} or a higher one")

    def roles(self) -> list[str]:
        """Every role this person acts under, for the guard of the routes."""
        held = [role.value for role in ORDER if self.may(role)]
        return [*held, METRICS] if self.metrics or held else held
