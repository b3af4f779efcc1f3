"""Checked words of the settings: origins, addresses, URLs, names. Messages never repeat the value."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, StringConstraints

_HOST = re.compile(r"(\*\.)?[a-z0-9_.:-]+")
"""Its letters only, so that what can never be a host is told with the other mistakes; the routes judge the rest."""


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be an https address with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user name and no password")
    return parts


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(url: str) -> str:
    parts = _split(url)
    if parts.path or parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError("must be an origin alone: scheme, host and perhaps a port, without a / at the end")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https address; plain http is for loopback only")
    if parts.netloc != parts.netloc.lower():
        raise ValueError("must be lower-case")
    if (parts.scheme, parts.port) in (("https", 443), ("http", 80)):
        raise ValueError("must leave out the scheme's own port, as senders do")
    return url


def _public_url(url: str) -> str:
    parts = _split(url)
    if parts.query or parts.fragment:
        raise ValueError("must hold no query and no fragment; the path stands for all below it")
    return url


def _callback_url(url: str) -> str:
    parts = _split(url)
    if parts.fragment:
        raise ValueError("must hold no fragment")
    return url


def _bind(text: str) -> str:
    """`127.0.0.1:8440`, `[::1]:8440`, or a path as `unix:/run/x.sock`."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return text
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("must be address:port, as in 127.0.0.1:8440")
    if host != "localhost":
        try:
            ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError as error:
            raise ValueError("must be an IP address and a port, as in 127.0.0.1:8440 or [::1]:8440") from error
    if ":" in host and not host.startswith("["):
        raise ValueError("must have the IPv6 address in brackets, as in [::1]:8440")
    return text


def _look_at(text: str) -> str:
    if text.startswith("unix:"):
        raise ValueError("must be address:port")
    return _bind(text)


def _route_host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise ValueError("must be a lower-case name in xn-- form, *.name, or an address")
    return host


def _alias(host: str) -> str:
    if host.startswith("*") or not _HOST.fullmatch(host):
        raise ValueError("must be a lower-case name in xn-- form, without *")
    return host


Origin = Annotated[str, AfterValidator(_origin)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
CallbackUrl = Annotated[str, AfterValidator(_callback_url)]
Bind = Annotated[str, AfterValidator(_bind)]
LookAt = Annotated[str, AfterValidator(_look_at)]
RouteHost = Annotated[str, AfterValidator(_route_host)]
Alias = Annotated[str, AfterValidator(_alias)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
"""Issuers' names; they stand in ids, file names and environment variables."""
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
AdapterName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
