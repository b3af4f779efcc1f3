"""How a value of a row stands in its column: in clear, as JSON, or sealed; and what is found by a keyed hash."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from receiver.domain.canonical import AS_THEY_ARE, canonical_json, load_json
from receiver.store.crypto import Sealer
from receiver.store.errors import BadRowError
from receiver.store.tables import metadata


class Form(Enum):
    TEXT = "text"
    BYTES = "bytes"
    JSON = "json"
    """Our canonical form: whole numbers and text only, bytes survive."""
    LOOSE = "loose"
    """JSON as its maker gave it, with the fractions that canonical JSON does not know; no bytes."""


@dataclass(frozen=True, kw_only=True)
class Column:
    form: Form
    sealed: bool = False
    erasable: bool = False
    """NULL once the readable form went to the vault; the row then reads as if it were empty."""


def _sealed(form: Form, *, erasable: bool = False) -> Column:
    return Column(form=form, sealed=True, erasable=erasable)


COLUMNS: dict[str, dict[str, Column]] = {
    "message": {
        "body": _sealed(Form.BYTES, erasable=True),
        "signature_input": _sealed(Form.TEXT, erasable=True),
        "signature": _sealed(Form.TEXT, erasable=True),
        "covered": _sealed(Form.LOOSE, erasable=True),
    },
    "notice": {"handling": _sealed(Form.JSON, erasable=True), "receipt": Column(form=Form.LOOSE)},
    "item": {
        "url": _sealed(Form.TEXT, erasable=True),
        "canonical": _sealed(Form.TEXT),
        "host": _sealed(Form.TEXT, erasable=True),
        "details": _sealed(Form.JSON, erasable=True),
    },
    "case_": {
        "locator": _sealed(Form.BYTES, erasable=True),
        "scope": _sealed(Form.BYTES, erasable=True),
        "observation": _sealed(Form.JSON),
        "residual": Column(form=Form.JSON),
    },
    "case_url": {
        "url": _sealed(Form.TEXT, erasable=True),
        "way": _sealed(Form.JSON, erasable=True),
        "looks": _sealed(Form.LOOSE),
    },
    "hold": {"reference": _sealed(Form.TEXT)},
    "act": {"intent": _sealed(Form.JSON, erasable=True), "receipt": _sealed(Form.JSON)},
    "decision": {"reason": _sealed(Form.TEXT, erasable=True), "approvals": Column(form=Form.JSON)},
    "direction": {
        "items": Column(form=Form.JSON),
        "reason": _sealed(Form.TEXT),
        "reference": _sealed(Form.TEXT),
    },
    "event": {"data": _sealed(Form.LOOSE, erasable=True)},
    "entry_detail": {"data": _sealed(Form.JSON)},
    "checkpoint": {"copies": Column(form=Form.JSON)},
}

_HASHED = frozenset({"item", "case_url", "case_", "seal"})
_EMPTY: dict[Form, Any] = {Form.TEXT: "", Form.BYTES: b"", Form.JSON: {}, Form.LOOSE: {}}


class Codec:
    """Rows into columns and back, under one data key."""

    def __init__(self, sealer: Sealer) -> None:
        self.sealer = sealer

    def url_hmac(self, url: str) -> str:
        return self.sealer.hmac("url", url.encode("utf-8", "surrogatepass"))

    def locator_hmac(self, locator: bytes) -> str:
        return self.sealer.hmac("locator", locator)

    def to_row(self, table: str, values: Mapping[str, Any], where: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Columns for an INSERT, or for an UPDATE of the row that `where` names. Raises BadRowError."""
        values = self._with_hashes(table, values)
        layout = _layout(table, tuple(values))
        row = {name: values[name] for name in layout.plain}
        for name, value in row.items():
            if isinstance(value, Enum):
                row[name] = value.value
        place = ""
        for name, column in layout.special:
            value = values[name]
            if value is not None:
                data = _written(table, name, column.form, value)
                if column.sealed:
                    place = place or place_of(table, where or values)
                    value = self.sealer.seal(f"{table}:{name}:{place}", data)
                else:
                    value = data.decode()
            row[name] = value
        return row

    def to_where(self, table: str, where: Mapping[str, Any]) -> dict[str, Any]:
        """Conditions of an UPDATE; URLs and locators are found by their keyed hash. Raises BadRowError."""
        found = {name: _plain(value) for name, value in where.items()}
        if table == "case_url" and "url" in found:
            found["url_hmac"] = self.url_hmac(found.pop("url"))
        if table == "case_" and "locator" in found:
            found["locator_hmac"] = self.locator_hmac(found.pop("locator"))
        wrong = sorted(name for name in found if name not in metadata.tables[table].columns or _is_special(table, name))
        if wrong or not found:
            raise BadRowError(f"a row of {table} cannot be found by {', '.join(wrong) or 'nothing'}")
        return found

    def from_row(self, table: str, name: str, stored: Any, place: str) -> Any:
        """The value of one column; `place` as from `place_of`."""
        column = COLUMNS.get(table, {}).get(name)
        if column is None:
            return stored
        if stored is None:
            return _EMPTY[column.form] if column.erasable else None
        data = self.sealer.open(f"{table}:{name}:{place}", stored) if column.sealed else stored.encode()
        return parse(column.form, data)

    def _with_hashes(self, table: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if table not in _HASHED:
            return values
        found = dict(values)
        if table == "item" and found.get("url") is not None:
            found.setdefault("url_hmac", self.url_hmac(found.get("canonical") or found["url"]))
        elif table == "item" and found.get("canonical") is not None:
            found.setdefault("url_hmac", self.url_hmac(found["canonical"]))
        elif table == "case_url" and found.get("url") is not None:
            found["url_hmac"] = self.url_hmac(found["url"])
        elif table == "case_" and found.get("locator") is not None:
            found["locator_hmac"] = self.locator_hmac(found["locator"])
        elif table == "seal" and "sha256_plain" in found:
            # The hash of the material itself would let anybody with a list look it up.
            found["sha256_plain_hmac"] = self.sealer.hmac("plain-sha256", found.pop("sha256_plain").encode())
        return found


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Which of a row's columns are written as they are."""

    plain: tuple[str, ...]
    special: tuple[tuple[str, Column], ...]


@lru_cache(maxsize=1024)
def _layout(table: str, names: tuple[str, ...]) -> _Layout:
    """Found out once for rows of one shape. Raises BadRowError."""
    unknown = sorted(set(names) - set(metadata.tables[table].columns.keys()))
    if unknown:
        raise BadRowError(f"table {table} has no column {', '.join(unknown)}")
    special = COLUMNS.get(table, {})
    return _Layout(
        plain=tuple(name for name in names if name not in special),
        special=tuple((name, special[name]) for name in names if name in special),
    )


def _written(table: str, name: str, form: Form, value: Any) -> bytes:
    try:
        return _format(form, value)
    except (TypeError, ValueError) as error:
        raise BadRowError(f"column {table}.{name} cannot hold a {type(value).__name__} of this shape") from error


@lru_cache(maxsize=64)
def _key_of(table: str) -> tuple[str, ...]:
    return tuple(column.name for column in metadata.tables[table].primary_key.columns)


def place_of(table: str, keys: Mapping[str, Any]) -> str:
    """The primary key as text, to which sealed columns are bound. Raises BadRowError where it is not all there."""
    try:
        return "/".join([str(keys[name]) for name in _key_of(table)])
    except KeyError as error:
        raise BadRowError(f"a sealed column of {table} can only be written by its primary key") from error


def _is_special(table: str, name: str) -> bool:
    return name in COLUMNS.get(table, {})


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _as_dict(value: object) -> dict[Any, Any]:
    """Mappings of any kind, since `json` knows no others but dicts."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


_LOOSE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=_as_dict)


def _format(form: Form, value: Any) -> bytes:
    if form is Form.TEXT:
        return str.encode(value, "utf-8", "surrogatepass")
    if form is Form.BYTES:
        return bytes(memoryview(value))
    if form is Form.JSON:
        return canonical_json(_shield(value))
    return _LOOSE.encode(value).encode()


def parse(form: Form, data: bytes) -> Any:
    """What a column of this form holds, once it is opened."""
    if form is Form.TEXT:
        return data.decode("utf-8", "surrogatepass")
    if form is Form.BYTES:
        return data
    if form is Form.JSON and (b"b64" in data or b"\\" in data):
        return _unshield(load_json(data))
    # Without that word, written out or escaped, there are no bytes in it to bring back.
    return json.loads(data)


_SHIELDED = re.compile(r"_*b64")


def _shield(value: Any) -> Any:
    """Contract values already stand as ``{"b64": …}``; they must come back so, and bytes as bytes."""
    if type(value) in AS_THEY_ARE:
        return value
    if type(value) is dict or isinstance(value, Mapping):
        if len(value) == 1 and _SHIELDED.fullmatch(next(iter(value))):
            return {"_" + name: _shield(item) for name, item in value.items()}
        return {name: _shield(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shield(item) for item in value]
    return value


def _unshield(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and _SHIELDED.fullmatch(name := next(iter(value))):
            return {name.removeprefix("_"): _unshield(value[name])}
        return {name: _unshield(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unshield(item) for item in value]
    return value
