"""A notified URL as browsers read it, or a refusal. No I/O.

Visitors meet the content through browsers, so can_ada (WHATWG) says what a URL means. Wherever the standard library
reads another host into the same text, the URL is a trick or a slip and is refused: nothing is taken down by a guess.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

import can_ada
import idna

from receiver.domain.errors import ReceiverError
from receiver.domain.web import DEFAULT_PORTS, CanonicalUrl, defang

__all__ = ["MAX_URL_BYTES", "CanonicalUrl", "UrlRefusedError", "canonical_url", "defang", "is_host_name"]

MAX_URL_BYTES = 8192
"""Web servers refuse longer request lines, so a longer URL cannot have been fetched."""
MAX_HOST_CHARACTERS = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


class UrlRefusedError(ReceiverError):
    """Nothing exact enough to act on. `reason` is a slug, `words` are fit for the issuer and hold no URL."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words


@dataclass(frozen=True, kw_only=True)
class _Host:
    name: str
    ip_literal: bool


def canonical_url(raw: str) -> CanonicalUrl:
    """Read a URL as browsers do.

    Raises UrlRefusedError with one of the reasons `too_long`, `characters`, `scheme`, `backslash`, `unreadable`,
    `credentials`, `empty_host`, `host`, `ambiguous_host`, `ip_literal`, `port`.

    An address in its plain spelling passes with `ip_literal` set, and only a route that names it may match; in any
    other spelling (decimal, hex, octal, IPv4 inside IPv6) it is refused. `%2F` passes with `encoded_slash` set, and the
    route table refuses it where a stored file would have to be guessed. A broken escape such as `%zz` stays as it is.
    """
    _check_text(raw)
    parsed, plain = _read_twice(raw)
    host = _host(parsed.hostname, _written_host(plain.netloc))
    port = _port(parsed.port, plain, parsed.protocol.removesuffix(":"))
    scheme = parsed.protocol.removesuffix(":")
    query = _query(parsed.href)
    path = unquote_to_bytes(parsed.pathname)
    if b"\0" in path:
        raise UrlRefusedError("characters", "the path holds a NUL; send the URL as a browser shows it")
    authority = f"[{host.name}]" if ":" in host.name else host.name
    if port != DEFAULT_PORTS[scheme]:
        authority = f"{authority}:{port}"
    target = parsed.pathname if query is None else f"{parsed.pathname}?{query.decode('ascii')}"
    return CanonicalUrl(
        raw=raw,
        url=f"{scheme}://{authority}{target}",
        scheme=scheme,
        host=host.name,
        port=port,
        path=path,
        raw_path=parsed.pathname,
        query=query,
        ip_literal=host.ip_literal,
        encoded_slash="%2f" in parsed.pathname.lower(),
    )


def is_host_name(name: str) -> bool:
    """A host name as an A-label in lower case, without a trailing dot."""
    return len(name) <= MAX_HOST_CHARACTERS and all(_LABEL.fullmatch(label) for label in name.split("."))


def _check_text(raw: str) -> None:
    """Browsers drop tabs and line breaks and trim blanks; other readers do not, so none may be there."""
    if len(raw.encode("utf-8", "surrogatepass")) > MAX_URL_BYTES:
        raise UrlRefusedError("too_long", f"the URL is longer than {MAX_URL_BYTES} bytes")
    if any(c.isspace() or unicodedata.category(c) in ("Cc", "Cs") for c in raw):
        raise UrlRefusedError("characters", "the URL holds blanks or control characters; encode or remove them")
    found = _SCHEME.match(raw)
    if found is None:
        raise UrlRefusedError("scheme", "the URL has no scheme; begin it with http:// or https://")
    if found[1].lower() not in DEFAULT_PORTS:
        raise UrlRefusedError("scheme", "only http and https URLs can be acted on")
    if "\\" in re.split(r"[?#]", raw, maxsplit=1)[0]:
        raise UrlRefusedError("backslash", "browsers and servers read a backslash differently; write / or %5C")


def _read_twice(raw: str) -> tuple[can_ada.URL, SplitResult]:
    try:
        plain = urlsplit(raw)
        _ = plain.port  # read here, since a bad one raises
        parsed = can_ada.parse(raw)
    except ValueError:
        # The cause quotes the URL, and causes end in logs.
        raise UrlRefusedError("unreadable", "browsers cannot read this URL; check host and port") from None
    if "@" in plain.netloc or parsed.has_credentials():
        raise UrlRefusedError("credentials", "the URL holds a user name or an @ before the host; remove it")
    if not plain.netloc or not plain.hostname or not parsed.hostname:
        raise UrlRefusedError("empty_host", "the URL has no host after http:// or https://")
    return parsed, plain


def _host(browser: str, plain: str) -> _Host:
    """The host, where both readers see the same one."""
    name = browser.strip("[]") if browser.startswith("[") else browser.removesuffix(".")
    address = _address(name)
    if address is not None:
        return _Host(name=_plain_address(address, plain), ip_literal=True)
    if not is_host_name(name):
        raise UrlRefusedError("host", "the host is not a name that the domain name system can hold")
    if _a_label(plain.removesuffix(".")) != name:
        raise UrlRefusedError(
            "ambiguous_host", "readers of URLs disagree about this host; send it in its xn-- form, without escapes"
        )
    return _Host(name=name, ip_literal=False)


def _written_host(netloc: str) -> str:
    """`hostname` of the standard library is in lower case already, which hides letters that fold into ASCII."""
    return netloc[1:].partition("]")[0] if netloc.startswith("[") else netloc.partition(":")[0]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _plain_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, plain: str) -> str:
    embedded = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    if embedded or _address(plain) != address or "%" in plain:
        raise UrlRefusedError("ip_literal", "the host is an address in a disguised spelling; send it plainly")
    return str(address)


def _a_label(name: str) -> str:
    """Strict IDNA 2008, so that what only browsers fold (wide letters, soft hyphens, symbols) comes out different."""
    if name.isascii():
        return name.lower()
    if any(not c.isascii() and any(part.isascii() for part in c.lower()) for c in name):
        return ""  # the Kelvin sign becomes a plain k
    try:
        return idna.encode(name.lower(), strict=True, std3_rules=False).decode("ascii")
    except idna.IDNAError:
        return ""


def _port(browser: str, plain: SplitResult, scheme: str) -> int:
    port = int(browser) if browser else DEFAULT_PORTS[scheme]
    if port == 0 or (DEFAULT_PORTS[scheme] if plain.port is None else plain.port) != port:
        raise UrlRefusedError("port", "the port cannot be used; send the URL with the port that visitors use")
    return port


def _query(href: str) -> bytes | None:
    """From the whole text, since `search` cannot tell no query from an empty one, and caches can."""
    _, mark, query = href.partition("#")[0].partition("?")
    return query.encode("ascii") if mark else None
