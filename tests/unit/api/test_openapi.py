from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel, ValidationError

from receiver.api import models
from receiver.api.app import create_public_app
from receiver.api.openapi import openapi_bytes, openapi_document
from receiver.intake.direction import parse_direction
from receiver.intake.errors import IntakeError
from receiver.intake.notice import parse_notice
from tests.doubles.web_side import direction_json, make_web_side, notice_json, to_bytes

KEPT = Path(__file__).parents[3] / "docs" / "openapi.json"


def test_document_is_valid() -> None:
    validate(openapi_document())


def test_kept_document_is_current() -> None:
    again = 'python -c \'from receiver.api.openapi import *; open("docs/openapi.json", "wb").write(openapi_bytes())\''
    assert KEPT.read_bytes() == openapi_bytes(), f"make it again: {again}"


def test_served_document_is_the_kept_one(tmp_path: Path) -> None:
    web = make_web_side(tmp_path)
    app = create_public_app(web.services())
    assert app.test_client().get("/v1/openapi.json").data == openapi_bytes()
    web.store.close()


def test_every_address_is_documented(tmp_path: Path) -> None:
    web = make_web_side(tmp_path)
    app = create_public_app(web.services())
    served = {
        (rule.rule.replace("<notice_id:notice_id>", "{notice_id}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "HEAD"
    }
    paths: dict[str, Any] = openapi_document()["paths"]
    assert served == {(path, method) for path, methods in paths.items() for method in methods}
    web.store.close()


ITEM = {"item_id": "1", "url": "https://img.example.net/1"}
NOTICES: list[dict[str, Any]] = [
    {},
    {"schema": "takedown-notice/2"},
    {"notice_id": "a b"},
    {"notice_id": "x" * 129},
    {"issuer": "IWF"},
    {"category": "CSAM"},
    {"kind": "other"},
    {"urls": []},
    {"urls": None},
    {"urls": ["x"] * 251},
    {"extra": 1},
    {"extensions": {"any": [1]}},
    {"extensions": []},
    {"issued_at": "2026-11-22T09:30:00"},
    {"issued_at": None},
    {"deadline": "2026-11-22T09:30:00+01:00"},
    {"handling": None},
    {"handling": {"act": "block_only", "legal_hold": True}},
    {"handling": {"act": "burn"}},
    {"handling": {"legal_hold": "yes"}},
    {"handling": {"police_reference": ""}},
]
ITEMS: list[Any] = [
    [],
    [ITEM],
    [{"url": "x"}],
    [{**ITEM, "item_id": ""}],
    [{**ITEM, "extra": 1}],
    [{**ITEM, "classification": {"scheme": "uk", "value": "A"}}],
    [{**ITEM, "classification": {"scheme": "uk"}}],
    [{**ITEM, "hashes": {"md5": "0" * 32}, "hosting_ip": "192.0.2.7", "first_seen": "2026-11-22T09:30:00Z"}],
    [{**ITEM, "url": ""}],
    [{**ITEM, "note": "x" * 4001}],
]
DIRECTIONS: list[dict[str, Any]] = [
    {},
    {"schema": "takedown-direction/2"},
    {"direction": "burn"},
    {"direction_id": ""},
    {"items": []},
    {"items": ["1", "2"]},
    {"until": "2026-11-22"},
    {"reason": None},
    {"extra": 1},
]


def documented(model: type[BaseModel], body: dict[str, Any]) -> bool:
    try:
        model.model_validate_json(json.dumps(body), strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("members", NOTICES)
def test_notice_model_agrees_with_intake(members: dict[str, Any]) -> None:
    body = notice_json(**members)
    assert documented(models.Notice, body) == taken(parse_notice, body)


@pytest.mark.parametrize("items", ITEMS)
def test_item_model_agrees_with_intake(items: Any) -> None:
    body = notice_json(items=items)
    del body["urls"]
    assert documented(models.Notice, body) == taken(parse_notice, body)


@pytest.mark.parametrize("members", DIRECTIONS)
def test_direction_model_agrees_with_intake(members: dict[str, Any]) -> None:
    body = direction_json(**members)
    assert documented(models.Direction, body) == taken(parse_direction, body)


def taken(parse: Any, body: dict[str, Any]) -> bool:
    try:
        parse(to_bytes(body))
    except IntakeError:
        return False
    return True
