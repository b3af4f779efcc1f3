"""The OpenAPI 3.1 document, made from the route table, so that it says what is served and nothing else."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from receiver.api.models import Problem
from receiver.api.problems import PROBLEM_TYPE
from receiver.api.routes import ROUTES, Route
from receiver.services.answers import JSON

OPENAPI_PATH = "/v1/openapi.json"
API_VERSION = "1.0.0"
_REF = "#/components/schemas/"
_SIGNATURE = "httpMessageSignature"
_ABOUT = (
    "Signed takedown notices in, signed receipts and status out. Requests are signed as RFC 9421 says, with a "
    "Content-Digest (RFC 9530); refusals are RFC 9457 problem details. The server itself answers requests that are no "
    "HTTP at all with a plain 400 or 431."
)
_NOTICE_ID = {
    "name": "notice_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}


@functools.cache
def openapi_bytes() -> bytes:
    """The document as it is served and kept in docs/openapi.json."""
    return (json.dumps(openapi_document(), indent=2, sort_keys=False, ensure_ascii=False) + "\n").encode()


def openapi_document() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    paths[OPENAPI_PATH] = {"get": _own_operation()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Takedown Receiver", "version": API_VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "headers": _headers(),
            "securitySchemes": {
                _SIGNATURE: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Signature",
                    "description": 'RFC 9421 with tag="takedown-notice"; see docs/issuers.md.',
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": route.operation, "summary": route.summary}
    if "{notice_id}" in route.path:
        operation["parameters"] = [_NOTICE_ID]
    if route.signed:
        operation["security"] = [{_SIGNATURE: []}]
    elif route.may_sign:
        operation["security"] = [{}, {_SIGNATURE: []}]
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(route.takes)}}}
    reply = {"description": route.reply.description, "content": {route.reply.content_type: _body(route.reply.model)}}
    if route.signed:
        reply["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _SIGNED_HEADERS}
    operation["responses"] = {str(route.reply.status): reply} | {
        str(status): _problem(status) for status in sorted((*route.problems, 500))
    }
    return operation


def _own_operation() -> dict[str, Any]:
    reply = {"description": "This document.", "content": {JSON: {"schema": {"type": "object"}}}}
    return {"operationId": "openapi", "summary": "This document.", "responses": {"200": reply, "500": _problem(500)}}


def _body(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": _ref(model)}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF + model.__name__}


def _problem(status: int) -> dict[str, Any]:
    reply: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_TYPE: _body(Problem)},
    }
    named = {401: "Accept-Signature", 429: "Retry-After", 503: "Retry-After"}.get(status)
    if named:
        reply["headers"] = {named: {"$ref": f"#/components/headers/{named}"}}
    return reply


_SIGNED_HEADERS = ("Content-Digest", "Signature-Input", "Signature")


def _headers() -> dict[str, Any]:
    about = {
        "Content-Digest": "RFC 9530, over the body.",
        "Signature-Input": "RFC 9421, bound to the request.",
        "Signature": "RFC 9421, made with our response key.",
        "Accept-Signature": "What a signature has to cover and carry.",
        "Retry-After": "Seconds to wait.",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in about.items()}


def _schemas() -> Mapping[str, Any]:
    """Each body by name. What we take is described as it is read, what we tell as it is written."""
    taken = [(route.takes, "validation") for route in ROUTES if route.takes is not None]
    told = [(model, "serialization") for model in dict.fromkeys([*(route.reply.model for route in ROUTES), Problem])]
    _, document = models_json_schema([*taken, *told], ref_template=_REF + "{model}")  # type: ignore[list-item]  # mypy widens the literals
    found: Mapping[str, Any] = document["$defs"]
    return found
