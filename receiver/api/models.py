"""The bodies of the protocol, for the OpenAPI document. What is taken is decided by intake; a test compares the two."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
Issuer = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/-]{0,63}$")]
_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]*$"
_NO_CONTROL_BUT_LAYOUT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
Url = Annotated[str, Field(min_length=1, max_length=8192, pattern=_NO_CONTROL)]
Words = Annotated[str, Field(min_length=1, max_length=4000, pattern=_NO_CONTROL_BUT_LAYOUT)]
Reference = Annotated[str, Field(min_length=1, max_length=256, pattern=_NO_CONTROL)]
IpAddress = Annotated[str, WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})]
ItemIds = Annotated[list[Id], Field(min_length=1, max_length=250, json_schema_extra={"uniqueItems": True})]
_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
Hashes = Annotated[
    dict[str, str],
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z0-9][a-z0-9_-]{0,31}$"},
            "properties": {
                name: {"type": "string", "pattern": f"^[0-9A-Fa-f]{{{digits}}}$"} for name, digits in _DIGITS.items()
            },
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": _NO_CONTROL},
        }
    ),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Sent(BaseModel):
    """From outside: members that are not listed are refused."""

    model_config = ConfigDict(extra="forbid")


class Told(BaseModel):
    """From us: later versions may add members."""


class Classification(Sent):
    scheme: Token
    value: Token


class NoticeItem(Sent):
    item_id: Id
    url: Url = Field(description="Exactly as seen.")
    referrer: Url | None = None
    hashes: Hashes | None = Field(None, description="By name, such as sha256 and md5, in hexadecimal.")
    media_type: Token | None = None
    classification: Classification | None = None
    hosting_ip: IpAddress | None = None
    first_seen: AwareDatetime | None = None
    last_seen: AwareDatetime | None = None
    note: Words | None = None


class Handling(Sent):
    act: Literal["remove", "block_only", "preserve_only"] = "remove"
    priority: Literal["normal", "immediate_risk"] = "normal"
    customer_notice: Literal["withhold", "allow"] = "withhold"
    withhold_until: AwareDatetime | None = None
    legal_hold: bool = False
    hold_until: AwareDatetime | None = None
    police_reference: Reference | None = None


class Notice(Sent):
    """`items` or `urls`, not both. No attachments: a notice that carries content is refused."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["items"]}, {"required": ["urls"]}]}
    )
    schema_: Literal["takedown-notice/1"] = Field("takedown-notice/1", alias="schema")
    notice_id: Id
    issuer: Issuer
    issued_at: AwareDatetime
    category: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
    kind: Literal["takedown", "alert", "test"] = "takedown"
    items: Annotated[list[NoticeItem], Field(min_length=1, max_length=250)] = Field(default_factory=list)
    urls: Annotated[list[Url], Field(min_length=1, max_length=250)] = Field(
        default_factory=list, description="Shorthand: the items get the ids 1, 2 and so on."
    )
    handling: Handling | None = None
    deadline: AwareDatetime | None = None
    extensions: dict[str, Any] | None = Field(None, description="Kept and signed over, never acted on.")


class Direction(Sent):
    schema_: Literal["takedown-direction/1"] = Field(alias="schema")
    direction_id: Id
    issuer: Issuer
    issued_at: AwareDatetime
    direction: Literal["withdraw", "proceed", "hold", "release_hold", "allow_customer_notice"]
    items: ItemIds | None = Field(None, description="Left out: every item of the notice.")
    reason: Words | None = None
    until: AwareDatetime | None = None
    police_reference: Reference | None = None


class ReceiptItem(Told):
    item_id: Id
    status: Literal["received"]


class Receipt(Told):
    schema_: Literal["takedown-receipt/1"] = Field(alias="schema")
    receipt_id: str
    notice_id: Id
    issuer: Issuer
    received_at: AwareDatetime
    body_sha256: Sha256
    items: list[ReceiptItem]
    status_url: str


class DirectionReceipt(Told):
    schema_: Literal["takedown-direction-receipt/1"] = Field(alias="schema")
    receipt_id: str
    notice_id: Id
    direction_id: Id
    issuer: Issuer
    received_at: AwareDatetime
    body_sha256: Sha256
    status_url: str


class StatusItem(Told):
    item_id: Id
    status: str
    public: Literal["reachable", "unreachable", "unknown"]
    reason: str | None
    status_at: AwareDatetime
    residual: list[str]
    hold: bool


class Status(Told):
    schema_: Literal["takedown-status/1"] = Field(alias="schema")
    notice_id: Id
    issuer: Issuer
    received_at: AwareDatetime
    items: list[StatusItem]
    events: list[dict[str, Any]] = Field(description="The data of every callback so far, in order of sequence.")
    undelivered: int


class Endpoints(Told):
    notices: str
    status: str
    directions: str
    openapi: str


class KeyAddresses(Told):
    directory: str
    jwks: str


class Discovery(Told):
    schema_: Literal["takedown-receiver/1"] = Field(alias="schema")
    versions: list[str]
    origins: list[str]
    endpoints: Endpoints
    limits: dict[str, int]
    keys: KeyAddresses
    issuer: Issuer | None = Field(None, description="With the members after it: only for a signed question.")
    categories: dict[str, Literal["act", "review", "shadow"]] | None = None
    may_keep_up: bool | None = None
    callback_url: str | None = None


class KeySet(Told):
    keys: list[dict[str, Any]]


class Health(Told):
    status: Literal["ok"]


class ProblemFault(Told):
    pointer: str = Field(description="JSON pointer (RFC 6901) into the body.")
    message: str


class Problem(Told):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[ProblemFault] | None = None
    status_url: str | None = None
