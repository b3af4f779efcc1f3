"""What an issuer sent, before and after we know that it did.

Trust changes the type: `UnverifiedRequest` is bytes from anybody; `VerifiedRequest`, `VerifiedNotice` and
`VerifiedDirection` can only be made by `receiver.verification.policy`, which alone may use `PROOF` (a test looks).
A `Notice` on its own is what the bytes say, not who said it: act on a `VerifiedNotice`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

PROOF = object()
"""Whoever holds this vouches for a signature. Only `receiver.verification.policy` does."""


def _demand(proof: object) -> None:
    if proof is not PROOF:
        raise TypeError("verified values are made by receiver.verification.policy; verify the request there")


@dataclass(frozen=True, kw_only=True)
class UnverifiedRequest:
    """One HTTP request as it came in, byte for byte."""

    method: str
    target: str
    """The raw request-target (`RAW_URI`), never decoded."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Every line in order, values as Latin-1 text, `Host` among them."""
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class VerifiedRequest:
    """A request that a known, usable key of `issuer` signed, with its digest checked.

    The nonce is not yet spent: whoever records the request must insert it in the same transaction.
    """

    issuer: str
    key_id: str
    key_thumbprint: str
    algorithm: str
    tag: str
    nonce: str
    created_at: dt.datetime
    expires_at: dt.datetime
    nonce_until: dt.datetime
    """Until then the nonce must be remembered."""
    covered: Mapping[str, str] = field(repr=False)
    """What the signature covers, by component name."""
    target_uri: str
    signature_input: str = field(repr=False)
    signature: str = field(repr=False)
    label: str
    request_sha256: str
    """The same for the very same request again, whatever a third party did to labels or padding."""
    request: UnverifiedRequest
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        _demand(proof)


@dataclass(frozen=True, kw_only=True)
class NoticeItem:
    """One URL of a notice, as received."""

    item_id: str
    url: str = field(repr=False)
    """Kept exactly as it came; whether it can be used is for resolution to say, item by item."""
    referrer: str | None = field(default=None, repr=False)
    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name (`sha256`, `md5`); hexadecimal ones in small letters."""
    media_type: str | None = None
    classification: Mapping[str, str] | None = None
    """`{"scheme", "value"}`."""
    hosting_ip: str | None = None
    first_seen: dt.datetime | None = None
    last_seen: dt.datetime | None = None
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Handling:
    """How the issuer wants its notice carried out."""

    act: str = "remove"
    """`remove`, `block_only` or `preserve_only`."""
    priority: str = "normal"
    """`normal`, or `immediate_risk`, which pages people at once."""
    customer_notice: str = "withhold"
    """`withhold` or `allow`."""
    withhold_until: dt.datetime | None = None
    legal_hold: bool = False
    hold_until: dt.datetime | None = None
    police_reference: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What the bytes say. It does not say who sent them."""

    notice_id: str
    issuer: str
    issued_at: dt.datetime
    category: str
    kind: str
    """`takedown`, `alert` or `test`."""
    items: tuple[NoticeItem, ...]
    handling: Handling
    deadline_at: dt.datetime | None
    raw: bytes = field(repr=False)
    extensions: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Kept and signed over, never acted on."""


@dataclass(frozen=True, kw_only=True)
class Direction:
    """A later message about a notice. It does not say who sent it."""

    direction_id: str
    issuer: str
    issued_at: dt.datetime
    direction: str
    """`withdraw`, `proceed`, `hold`, `release_hold` or `allow_customer_notice`."""
    items: tuple[str, ...] | None
    """Item ids; None means all."""
    reason: str | None = field(default=None, repr=False)
    until: dt.datetime | None = None
    police_reference: str | None = field(default=None, repr=False)
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class VerifiedNotice:
    """A notice that its issuer's key signed."""

    verified: VerifiedRequest
    notice: Notice
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        _demand(proof)


@dataclass(frozen=True, kw_only=True)
class VerifiedDirection:
    """A direction that its issuer's key signed."""

    verified: VerifiedRequest
    direction: Direction
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        _demand(proof)
