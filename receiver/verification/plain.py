"""Signature bases of the plain kind (RFC 9421 section 2.5), put together in one go.

The library reads every field into objects and writes it out again, several times for one message, which costs more
than all cryptography. What our protocol signs hardly ever needs that. So a base is made here when every part of it is
of a kind that can be written in one way only; for anything else the answer is None, and the library does it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

_TEXT = re.compile(r"[!-~](?:[ -~]*[!-~])?", re.ASCII)
"""A field's value without surrounding blanks; controls, folded lines and letters beyond ASCII are the library's."""
_METHOD = re.compile(r"[A-Z]+", re.ASCII)
_LETTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_URL = re.compile(rf"https?://[a-z0-9.-]+(?::[0-9]+)?/{_LETTER}*(?:\?(?:{_LETTER}|\?)*)?", re.ASCII)
"""Written as it is signed: a path is there, and neither credentials nor a fragment."""
_QUOTABLE = re.compile(r"[ !#-\[\]-~]*", re.ASCII)
"""Text that stands between quotes without an escape."""
_FIELDS = frozenset({"content-type", "content-digest", "idempotency-key"})
_LABEL = re.compile(r"[a-z*][a-z0-9_.*-]*", re.ASCII)
_MEMBER = re.compile(r'"signature";req;key="([a-z*][a-z0-9_.*-]*)"', re.ASCII)
_SIGNATURE = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]+={0,2}):", re.ASCII)


class _Headers(Protocol):
    def items(self) -> list[tuple[str, str]]: ...


class Request(Protocol):
    """What a base needs of a request."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> _Headers: ...


class Response(Protocol):
    """What a base needs of a response, with the request it answers."""

    @property
    def status_code(self) -> int: ...
    @property
    def request(self) -> Request: ...
    @property
    def headers(self) -> _Headers: ...


def plain_request(message: Request, names: Sequence[str]) -> dict[str, str] | None:
    """The covered components of a request, named without parameters, and their values; None where one is not plain."""
    if not _is_plain(message):
        return None
    return _all_plain((f'"{name}"', _of_request(message, name)) for name in names)


def plain_response(message: Response, identifiers: Sequence[str]) -> dict[str, str] | None:
    """The same for a response, with identifiers as they are signed, such as `"@method";req`."""
    if not _is_plain(message.request):
        return None
    return _all_plain((identifier, _of_response(message, identifier)) for identifier in identifiers)


def plain_label(label: str) -> bool:
    return _LABEL.fullmatch(label) is not None


def plain_params(identifiers: Iterable[str], params: Mapping[str, str | int | None]) -> str | None:
    """The signature parameters as they are signed, those that are None left out; None where one needs an escape."""
    text = f"({' '.join(identifiers)})"
    for name, value in params.items():
        if isinstance(value, str):
            if not _QUOTABLE.fullmatch(value):
                return None
            text += f';{name}="{value}"'
        elif value is not None:
            text += f";{name}={value}"
    return text


def base_of(components: dict[str, str], params_text: str) -> bytes:
    """The bytes to sign, of components and parameters that were found to be plain."""
    lines = [f"{identifier}: {value}" for identifier, value in components.items()]
    return "\n".join([*lines, f'"@signature-params": {params_text}']).encode("ascii")


def _all_plain(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for identifier, value in pairs:
        if value is None or identifier in found:
            return None
        found[identifier] = value
    return found


def _is_plain(message: Request) -> bool:
    """Both matter even where they are not covered: the library takes no message that has odd ones."""
    return _METHOD.fullmatch(message.method) is not None and _URL.fullmatch(message.url) is not None


def _of_request(message: Request, name: str) -> str | None:
    if name == "@method":
        return message.method
    if name == "@target-uri":
        return message.url
    return _field(message.headers, name)


def _of_response(message: Response, identifier: str) -> str | None:
    if identifier == '"@status"':
        return str(message.status_code)
    if identifier in ('"@method";req', '"@target-uri";req'):
        return _of_request(message.request, identifier[1:-5])
    member = _MEMBER.fullmatch(identifier)
    if member is not None:
        return _signature(message.request.headers, member[1])
    return _field(message.headers, identifier[1:-1])


def _field(headers: _Headers, name: str) -> str | None:
    """A value that stands once, of a field that has nothing to be taken apart."""
    values = [value.strip(" \t") for known, value in headers.items() if known.lower() == name]
    return values[0] if name in _FIELDS and len(values) == 1 and _TEXT.fullmatch(values[0]) else None


def _signature(headers: _Headers, label: str) -> str | None:
    """The member of that label as it is written out again, where the field holds nothing else."""
    values = [value for known, value in headers.items() if known.lower() == "signature"]
    match = _SIGNATURE.fullmatch(values[0]) if len(values) == 1 else None
    if match is None or match[1] != label:
        return None
    try:
        spelled = binascii.b2a_base64(binascii.a2b_base64(match[2], strict_mode=True), newline=False).decode()
    except binascii.Error:
        return None
    return f":{spelled}:" if spelled == match[2] else None
