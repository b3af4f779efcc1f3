"""Why a body was not taken. Messages name members and rules, never values: they go back over the wire and into logs."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.domain.errors import ReceiverError
from receiver.domain.strict_json import StrictJsonError


@dataclass(frozen=True, kw_only=True)
class FieldFault:
    """One thing wrong with one member."""

    pointer: str
    """JSON pointer (RFC 6901); names from outside are shortened."""
    message: str


class IntakeError(ReceiverError):
    """The body cannot be taken. The fields are those of an RFC 9457 answer."""

    def __init__(
        self, status: int, slug: str, title: str, detail: str = "", *, errors: tuple[FieldFault, ...] = ()
    ) -> None:
        super().__init__(f"{slug}: {detail or title}")
        self.status = status
        self.type = slug
        self.title = title
        self.detail = detail
        self.errors = errors


def too_large(limit_bytes: int) -> IntakeError:
    return IntakeError(
        413, "too-large", "The body is too large", f"Send at most {limit_bytes} bytes; split the notice in two."
    )


def malformed(error: StrictJsonError) -> IntakeError:
    slug = "duplicate-member" if error.kind == "duplicate-member" else "malformed-json"
    return IntakeError(400, slug, "The body is not JSON that can be read in one way only", str(error))


def invalid(what: str, faults: tuple[FieldFault, ...]) -> IntakeError:
    """422 with every fault at once, so that an issuer mends its software in one go."""
    return IntakeError(
        422, f"invalid-{what}", f"The {what} breaks the protocol", "Mend the members listed in errors.", errors=faults
    )


def carries_content(pointers: tuple[str, ...]) -> IntakeError:
    faults = tuple(FieldFault(pointer=p, message="looks like content; send the URL and hashes only") for p in pointers)
    return IntakeError(
        422,
        "content-not-accepted",
        "A notice must not carry content",
        "Nothing was kept. Send URLs and hashes, never the material itself.",
        errors=faults,
    )
