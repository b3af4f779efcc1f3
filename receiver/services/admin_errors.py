"""Why the staff side says no, in words for the person who asked. The faces know one status for each."""

from __future__ import annotations

from receiver.domain.errors import ReceiverError


class StaffError(ReceiverError):
    """Base of these; `status` is what HTTP calls it, `slug` names the problem for programs."""

    status = 409
    slug = "not-possible"


class NotPossibleError(StaffError):
    """Things stand otherwise than the request believes; look again."""


class NotThereError(StaffError):
    """There is no such thing."""

    status = 404
    slug = "not-found"


class NotAllowedError(StaffError):
    """This person may not do that."""

    status = 403
    slug = "not-allowed"


class BadInputError(StaffError):
    """What was typed cannot be taken; the words say why."""

    status = 422
    slug = "bad-input"


class TooManyTriesError(StaffError):
    """Somebody is guessing passwords, or forgot theirs."""

    status = 429
    slug = "too-many-tries"

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"too many tries; wait {wait_seconds} seconds")
        self.wait_seconds = wait_seconds
