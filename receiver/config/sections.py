"""The tables of the settings that stand once. Each field's description is what the documents print."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from receiver.config.base import Section, SettingPath
from receiver.config.values import Bind, Origin, PublicUrl

_COUNTRY = re.compile(r"[A-Z]{2}")
_SQLITE = "sqlite:///"


class Server(Section):
    """Where we listen and what issuers sign for."""

    public_origins: tuple[Origin, ...] = Field(
        min_length=1,
        description="What issuers sign for: the scheme and host they send to. Never taken from a header.",
    )
    public_bind: Bind = Field(
        "127.0.0.1:8440",
        description="Address and port of the public side. TLS is the proxy's in front, or set the two TLS files.",
    )
    admin_bind: Bind = Field("127.0.0.1:8441", description="Address and port of the admin pages, API and metrics.")
    admin_origin: Origin | None = Field(
        None, description="How people reach the admin pages; with https, cookies are bound to it."
    )
    data_dir: SettingPath = Field(Path("data"), description="Folder for the database, the vault and sockets.")
    tls_cert_file: SettingPath | None = Field(
        None, description="Certificate chain of the public side, PEM; only where no proxy ends TLS in front."
    )
    tls_key_file: SettingPath | None = Field(None, description="Key of that certificate, PEM, readable by us alone.")
    country: str | None = Field(
        None, description="ISO 3166 country the content is served from; told to issuers in each callback."
    )
    web_processes: int = Field(2, ge=1, le=64, description="Processes that take notices.")
    web_threads: int = Field(8, ge=1, le=256, description="Threads in each of them.")
    admin_threads: int = Field(8, ge=1, le=256, description="Threads of the admin pages.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least weight of a log line that is written."
    )

    @field_validator("country")
    @classmethod
    def _two_letters(cls, country: str | None) -> str | None:
        if country is not None and not _COUNTRY.fullmatch(country):
            raise ValueError("must be two capital letters, as in GB")
        return country

    @model_validator(mode="after")
    def _tls_files_together(self) -> Server:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file stand together or not at all")
        return self


class Database(Section):
    """Where everything is recorded."""

    url: str = Field(
        "sqlite:///data/receiver.db",
        description="sqlite:///path, or postgresql+psycopg://user@host/name for more than one machine.",
    )
    password_file: SettingPath | None = Field(
        None, description="File that holds the PostgreSQL password; a password in the URL is refused."
    )

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str, info: ValidationInfo) -> str:
        if url.startswith(_SQLITE):
            base = str((info.context or {}).get("base", "."))
            name = url.removeprefix(_SQLITE)
            if not name or name == ":memory:" or "?" in name:
                raise ValueError("must name a file: sqlite:///data/receiver.db")
            return _SQLITE + os.path.abspath(os.path.join(base, name))
        parts = urlsplit(url)
        if parts.scheme != "postgresql+psycopg" or not parts.hostname:
            raise ValueError("must be sqlite:///path or postgresql+psycopg://user@host/name")
        if parts.password is not None:
            raise ValueError("must hold no password; put it into a file and name that in password_file")
        return url

    @property
    def sqlite_path(self) -> Path | None:
        return Path(self.url.removeprefix(_SQLITE)) if self.url.startswith(_SQLITE) else None

    @property
    def is_to_be_made(self) -> bool:
        """An SQLite file that is not there. One that is out of reach may be: opening it says why it cannot be used."""
        try:
            return self.sqlite_path is not None and not self.sqlite_path.exists()
        except PermissionError:
            return False

    def full_url(self) -> str:
        """With the password from its file. Raises OSError when the file cannot be read. Never log the answer."""
        if self.password_file is None:
            return self.url
        password = quote(self.password_file.read_text(encoding="utf-8").strip(), safe="")
        scheme, rest = self.url.split("://", 1)
        user, at, host = rest.rpartition("@")
        return f"{scheme}://{user}:{password}{at or '@'}{host}"


class Keys(Section):
    """Our own keys. `init` makes them."""

    callback_key_file: SettingPath = Field(
        Path("keys/callback.pem"), description="Signs callbacks; the worker alone reads it."
    )
    response_key_file: SettingPath = Field(
        Path("keys/response.pem"), description="Signs receipts and statuses; the public side alone reads it."
    )
    public_jwks_file: SettingPath = Field(
        Path("keys/public.jwks.json"), description="The public halves that issuers check receipts and callbacks with."
    )
    data_key_file: SettingPath = Field(
        Path("keys/data.key"), description="32 bytes that encrypt URLs and messages in the database. Back it up."
    )
    ledger_key_file: SettingPath = Field(
        Path("keys/ledger.pem"), description="Signs the ledger's checkpoints; the worker alone reads it."
    )


class Agent(Section):
    """The privileged part that touches this machine's files."""

    settings_file: SettingPath = Field(
        Path("agent.toml"), description="The agent's own settings: its socket, roots, map files, how to reload nginx."
    )


class Vault(Section):
    """Where sealed evidence lies."""

    type: Literal["directory"] = Field("directory", description="Kind of store; a local folder.")
    path: SettingPath = Field(Path("data/vault"), description="Folder of the sealed payloads and headers.")
    recipients_file: SettingPath = Field(
        Path("keys/custodians.txt"),
        description="The custodians' age public keys, one a line; two or more. Their identities stay elsewhere.",
    )
    second_headers_path: SettingPath | None = Field(
        None, description="Second folder for the headers, on another disk: without its header a seal cannot be opened."
    )
    max_seal_gib: int = Field(
        64,
        ge=1,
        le=1048576,
        description="Gibibytes of one item that are sealed; what is larger stays blocked and a person is called.",
    )


class Ledger(Section):
    """Where the history is copied to."""

    copy_to: tuple[SettingPath, ...] = Field(
        (), description="Folders that take each checkpoint, where this host cannot rewrite them."
    )


class PolicySettings(Section):
    """What we do on our own and what waits for a person."""

    remove_after_days: int = Field(
        30, ge=0, le=3650, description="Days that something stays blocked before the customer's copy is deleted."
    )
    retention_days: int = Field(365, ge=1, le=36500, description="Days that sealed evidence is kept.")
    mistake_retention_days: int = Field(
        30, ge=0, le=3650, description="Days that evidence of a released mistake is kept."
    )
    preserve: Literal["sealed_copy", "in_place"] = Field(
        "sealed_copy",
        description="sealed_copy, or in_place where counsel wants no copy made (nothing is deleted).",
    )
    watch_days: int = Field(
        90, ge=1, le=3650, description="Days of looks from outside; afterwards readable URLs are sealed away."
    )
    confirm_within_seconds: int = Field(
        900, ge=10, le=86400, description="Seconds without a clear look from outside until it is failed and paged."
    )
    keep_up_max_hours: int = Field(72, ge=1, le=720, description="Hours that preserve_only may ask for, at most.")
    keep_up_decide_minutes: int = Field(
        30, ge=1, le=1440, description="Minutes to decide when another issuer orders removal; silence means down."
    )
    deadline_hours: int = Field(
        24, ge=1, le=720, description="Hours from receipt until a notice that sets no deadline is overdue."
    )
    public_status: Literal[404, 410, 451] = Field(
        404,
        description="HTTP status the public is to see where a gate denies; `check` compares what nginx says.",
    )
    max_resources_per_item: int = Field(
        20, ge=1, le=10000, description="Stored resources one URL may stand for; more goes to review."
    )
    on_withdrawal: Literal["two_people", "one_person", "auto"] = Field(
        "two_people", description="What an issuer's own withdrawal needs before content is back."
    )
    two_people: bool = Field(
        True, description="false lets one person release, restore and destroy; it is shown everywhere."
    )
    test_customer: str = Field(
        "test", min_length=1, description="Customer whose routes notices of kind test act on, and on nothing else."
    )
    protected: tuple[PublicUrl, ...] = Field(
        (), description="URLs, with all below them, that are never acted on without a person."
    )
    max_acts_per_hour: int = Field(
        500, ge=1, description="Acts per hour that one issuer's notices may cause; beyond it to review, and paged."
    )
    max_customers_per_hour: int = Field(
        50, ge=1, description="Customers per hour that one issuer's notices may touch; beyond it to review, and paged."
    )
    page_again_minutes: tuple[Annotated[int, Field(ge=1, le=10080)], ...] = Field(
        (15, 60), description="Minutes after which people are paged again, until somebody acknowledges."
    )

    @field_validator("page_again_minutes")
    @classmethod
    def _growing(cls, minutes: tuple[int, ...]) -> tuple[int, ...]:
        if list(minutes) != sorted(set(minutes)):
            raise ValueError("must grow from one to the next")
        return minutes


class Callbacks(Section):
    """How long we try to reach an issuer."""

    give_up_after_hours: int = Field(
        72, ge=1, le=720, description="Hours of trying until a callback is a dead letter that a person must send again."
    )


class Limits(Section):
    """How much one sender may hand in."""

    max_items: int = Field(250, ge=1, le=10000, description="Items in one notice.")
    max_body_bytes: int = Field(1048576, ge=1024, le=16777216, description="Bytes of one notice.")
    max_depth: int = Field(16, ge=4, le=64, description="Levels of nesting in a notice's JSON.")
    max_requests_per_minute: int = Field(
        600,
        ge=1,
        description="Signed requests per minute from one issuer; beyond it 429 with Retry-After. "
        "Exact to 1 % for each process of the public side.",
    )
    max_items_per_minute: int = Field(
        6000,
        ge=1,
        description="Items per minute in the notices of one issuer; beyond it 429 with Retry-After. "
        "Exact to 1 % for each process of the public side.",
    )
    max_unsigned_per_minute: int = Field(
        60, ge=1, description="Requests per minute without a good signature from one address; beyond it 429."
    )


class Worker(Section):
    """How much the worker does at once."""

    node: str | None = Field(
        None, description="Name of this machine among the workers; the host name where it is left out."
    )
    processes: int = Field(
        1,
        ge=1,
        le=16,
        description="Workers that `serve` starts; each is a process with the threads below. One keeps one core busy.",
    )
    exposure_threads: int = Field(8, ge=1, le=256, description="Threads that resolve, deny, block, purge and confirm.")
    evidence_threads: int = Field(4, ge=1, le=64, description="Threads that seal and remove.")
    deliver_threads: int = Field(8, ge=2, le=256, description="Threads that send callbacks; two serve failing peers.")
    drain_seconds: int = Field(30, ge=1, le=600, description="Seconds that running steps get to end after SIGTERM.")
