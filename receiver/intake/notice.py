"""Reads a notice: the schema of `takedown-notice/1`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from receiver.domain.notice import Handling, Notice, NoticeItem
from receiver.domain.strict_json import StrictJsonError, load_strict_json
from receiver.intake.content import find_content
from receiver.intake.errors import carries_content, invalid, malformed, too_large
from receiver.intake.limits import DEFAULT_LIMITS, MAX_NOTE_CHARACTERS, MAX_URL_CHARACTERS, Limits
from receiver.intake.members import (
    ID_PATTERN,
    REQUIRED,
    SLUG_PATTERN,
    TOKEN_PATTERN,
    Faults,
    Members,
    is_text,
)

SCHEMA = "takedown-notice/1"
ID_RULE = "must be 1 to 128 of A-Z a-z 0-9 . _ : -"
SLUG_RULE = "must be 1 to 32 of a-z 0-9 -"
TOKEN_RULE = "must be a short token"  # noqa: S105  # a rule for a word, not a secret
URL_RULE = f"must be a URL as text of 1 to {MAX_URL_CHARACTERS} characters without control characters"
_TOP = frozenset(
    {"schema", "notice_id", "issuer", "issued_at", "category", "kind", "items", "urls", "handling", "deadline"}
    | {"extensions"}
)
_ITEM = frozenset(
    {"item_id", "url", "referrer", "hashes", "media_type", "classification", "hosting_ip", "first_seen", "last_seen"}
    | {"note"}
)
_HANDLING = frozenset(
    {"act", "priority", "customer_notice", "withhold_until", "legal_hold", "hold_until", "police_reference"}
)
_CATEGORY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}", re.ASCII)
_HASH_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
_NO_TIME = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def load_document(body: bytes, limits: Limits) -> Any:
    """Strict JSON without embedded content, within the size limit. Raises IntakeError (400, 413, 422)."""
    if len(body) > limits.max_body_bytes:
        raise too_large(limits.max_body_bytes)
    try:
        document = load_strict_json(body, max_depth=limits.max_depth)
    except StrictJsonError as error:
        raise malformed(error) from error
    pointers = find_content(document)
    if pointers:
        raise carries_content(pointers[:10])
    return document


def parse_notice(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Notice:
    """What the bytes say. Raises IntakeError with every fault at once.

    Not judged here: who sent it, whether the category is theirs to use, whether a URL can be acted on, and the
    conditions of `preserve_only` (`check_handling`).
    """
    faults = Faults()
    top = Members(load_document(body, limits), "", faults)
    top.refuse_others(_TOP)
    top.choice("schema", (SCHEMA,), default=SCHEMA)
    notice = Notice(
        notice_id=top.match("notice_id", ID_PATTERN, ID_RULE),
        issuer=top.match("issuer", SLUG_PATTERN, SLUG_RULE),
        issued_at=top.time("issued_at", default=REQUIRED) or _NO_TIME,
        category=top.match("category", _CATEGORY, TOKEN_RULE),
        kind=top.choice("kind", ("takedown", "alert", "test"), default="takedown"),
        items=_read_items(top, limits),
        handling=_read_handling(top),
        deadline_at=top.time("deadline"),
        raw=body,
        extensions=_read_extensions(top),
    )
    if faults:
        raise invalid("notice", faults.all())
    return notice


def _read_items(top: Members, limits: Limits) -> tuple[NoticeItem, ...]:
    given = [name for name in ("items", "urls") if name in top.value]
    if len(given) != 1:
        top.faults.add(top.at("items"), "give either items or urls")
        return ()
    name = given[0]
    rows = top.value[name]
    if not isinstance(rows, list) or not 1 <= len(rows) <= limits.max_items:
        top.faults.add(top.at(name), f"must be a list of 1 to {limits.max_items}")
        return ()
    if name == "urls":
        return tuple(
            NoticeItem(item_id=str(number + 1), url=_read_url(row, f"/urls/{number}", top.faults))
            for number, row in enumerate(rows)
        )
    items = tuple(_read_item(Members(row, f"/items/{number}", top.faults)) for number, row in enumerate(rows))
    seen: set[str] = set()
    for number, item in enumerate(items):
        if item.item_id and item.item_id in seen:
            top.faults.add(f"/items/{number}/item_id", "stands twice in this notice")
        seen.add(item.item_id)
    return items


def _read_url(value: object, pointer: str, faults: Faults) -> str:
    if is_text(value, MAX_URL_CHARACTERS):
        return str(value)
    faults.add(pointer, URL_RULE)
    return ""


def _read_item(row: Members) -> NoticeItem:
    row.refuse_others(_ITEM)
    url = row.raw("url", REQUIRED)
    return NoticeItem(
        item_id=row.match("item_id", ID_PATTERN, ID_RULE),
        url=_read_url(url, row.at("url"), row.faults) if "url" in row.value else "",
        referrer=row.text("referrer", MAX_URL_CHARACTERS),
        hashes=_read_hashes(row),
        media_type=_read_token(row, "media_type"),
        classification=_read_classification(row),
        hosting_ip=row.address("hosting_ip"),
        first_seen=row.time("first_seen"),
        last_seen=row.time("last_seen"),
        note=row.text("note", MAX_NOTE_CHARACTERS, layout=True),
    )


def _read_token(row: Members, name: str) -> str | None:
    if row.value.get(name) is None:
        return None
    return row.match(name, TOKEN_PATTERN, TOKEN_RULE)


def _read_hashes(row: Members) -> Mapping[str, str]:
    given = row.value.get("hashes")
    if given is None:
        return {}
    hashes: dict[str, str] = {}
    members = Members(given, row.at("hashes"), row.faults)
    for name, value in members.value.items():
        if not _HASH_NAME.fullmatch(name) or not is_text(value, 1024):
            row.faults.add(row.at("hashes"), "must map short names to text")
            continue
        digits = _HEX_DIGITS.get(name)
        if digits and not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", value):
            row.faults.add(members.at(name), f"must be {digits} hexadecimal digits")
            continue
        hashes[name] = value.lower() if digits else value
    return hashes


def _read_classification(row: Members) -> Mapping[str, str] | None:
    given = row.value.get("classification")
    if given is None:
        return None
    members = Members(given, row.at("classification"), row.faults)
    members.refuse_others(frozenset({"scheme", "value"}))
    return {name: members.match(name, TOKEN_PATTERN, TOKEN_RULE) for name in ("scheme", "value")}


def _read_handling(top: Members) -> Handling:
    given = top.value.get("handling")
    if given is None:
        return Handling()
    members = Members(given, "/handling", top.faults)
    members.refuse_others(_HANDLING)
    return Handling(
        act=members.choice("act", ("remove", "block_only", "preserve_only"), default="remove"),
        priority=members.choice("priority", ("normal", "immediate_risk"), default="normal"),
        customer_notice=members.choice("customer_notice", ("withhold", "allow"), default="withhold"),
        withhold_until=members.time("withhold_until"),
        legal_hold=members.flag("legal_hold"),
        hold_until=members.time("hold_until"),
        police_reference=members.text("police_reference", 256),
    )


def _read_extensions(top: Members) -> Mapping[str, Any]:
    given = top.value.get("extensions")
    return {} if given is None else Members(given, "/extensions", top.faults).value
