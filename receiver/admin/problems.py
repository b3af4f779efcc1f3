"""Refusals as RFC 9457 answers, for the API."""

from __future__ import annotations

import json

from flask import Response

PROBLEM_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:takedown-receiver:problem:"


def problem(status: int, slug: str, title: str, *, detail: str | None = None) -> Response:
    body = {"type": TYPE_PREFIX + slug, "title": title, "status": status}
    if detail is not None:
        body["detail"] = detail
    return Response(json.dumps(body), status=status, content_type=PROBLEM_TYPE)
