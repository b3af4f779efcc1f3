"""Refusals as RFC 9457 answers. Nothing of what was sent is repeated, and nothing of our insides is told."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from receiver.services.answers import Answer, to_json
from receiver.services.errors import RefusedError

PROBLEM_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:takedown-notice:problem:"
"""Names of problems, not addresses: the part behind it is stable and listed in docs/issuers.md."""

_TITLES = {
    400: ("malformed-request", "The request is malformed"),
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "This address does not take that method"),
    413: ("too-large", "The body is too large"),
    431: ("headers-too-large", "The headers are too large"),
    500: ("internal-error", "Something went wrong on our side"),
}


def problem(status: int, slug: str, title: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
    body = {"type": TYPE_PREFIX + slug, "title": title, "status": status}
    body |= {name: value for name, value in more.items() if value}
    return Answer(status=status, headers={"Content-Type": PROBLEM_TYPE, **(headers or {})}, body=to_json(body))


def refused(refusal: RefusedError) -> Answer:
    headers = {}
    if refusal.accept_signature:
        headers["Accept-Signature"] = refusal.accept_signature
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    return problem(
        refusal.status,
        refusal.slug,
        refusal.title,
        headers=headers,
        detail=refusal.detail,
        errors=[{"pointer": fault.pointer, "message": fault.message} for fault in refusal.errors],
        status_url=refusal.status_url,
    )


def plain(status: int, *, headers: Mapping[str, str] | None = None) -> Answer:
    """For what the framework refuses on its own."""
    phrase = HTTPStatus(status).phrase
    slug, title = _TITLES.get(status, (phrase.lower().replace(" ", "-"), phrase))
    return problem(status, slug, title, headers=headers)


def cannot_record() -> Answer:
    title = "Notices cannot be recorded now"
    return problem(503, "not-recorded", title, headers={"Retry-After": "5"})
