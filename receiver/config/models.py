"""The whole settings as frozen values: what `load_config` returns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from receiver.config.base import Section, SettingPath
from receiver.config.sections import (
    Agent,
    Callbacks,
    Database,
    Keys,
    Ledger,
    Limits,
    PolicySettings,
    Server,
    Vault,
    Worker,
)
from receiver.config.values import AdapterName, Alias, CallbackUrl, Category, LookAt, RouteHost, Slug

Table = Mapping[str, Any]


class Issuer(Section):
    """An organisation that may send notices."""

    id: Slug = Field(description="Short name: small letters, digits and hyphens. Stands in notices and in the ledger.")
    name: str = Field("", max_length=200, description="Name that people read.")
    keys_file: SettingPath | None = Field(
        None, description="JWKS with the issuer's public keys; its fingerprints were checked out of band."
    )
    keys_url: str | None = Field(
        None, description="https address of a JWKS instead; keys seen there wait until two people confirm them."
    )
    categories: Mapping[Category, Literal["act", "review", "shadow", "refuse"]] = Field(
        description="What it may order down, and what happens: act, review, shadow or refuse."
    )
    callback_url: CallbackUrl | None = Field(
        None, description="Where it hears outcomes; without it the issuer asks the status endpoint."
    )
    callback_ca_file: SettingPath | None = Field(
        None, description="PEM of a private authority that signed the callback host's certificate."
    )
    may_keep_up: bool = Field(False, description="true lets it send preserve_only: content stays up for police.")
    allow_private_callback: bool = Field(
        False, description="true only for an issuer inside your own network, and in tests; permits http:// too."
    )
    max_acts_per_hour: int | None = Field(None, ge=1, description="Instead of policy.max_acts_per_hour.")
    max_customers_per_hour: int | None = Field(None, ge=1, description="Instead of policy.max_customers_per_hour.")

    @field_validator("keys_url")
    @classmethod
    def _https_keys(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith("https://"):
            raise ValueError("must be an https address")
        return url


class Route(Section):
    """From host and path to a customer's part of a store."""

    host: RouteHost = Field(min_length=1, max_length=253, description='Exact lower-case name, or "*.example.net".')
    path: str = Field("/", pattern="^/", description="Path prefix; the longest match wins.")
    customer: str = Field(min_length=1, max_length=128, description="Whose content it is, in your own words.")
    storage: AdapterName | None = Field(None, description="Name under [adapters]; may be left out where gates stand.")
    key: str | None = Field(
        None, description="The store's name for the object, with {path} or {rest}, and {host} or {sub}."
    )
    caches: tuple[AdapterName, ...] = Field((), description="Names under [caches] that may hold copies.")
    gates: tuple[AdapterName, ...] = Field((), description="Names under [gates] that can refuse an exact URL.")
    look_at: tuple[LookAt, ...] = Field(
        (), description="address:port to look at from outside; where left out, what the host name resolves to."
    )
    aliases: tuple[Alias, ...] = Field((), description="Other hosts that serve the same paths.")
    merge_slashes: bool = Field(True, description="Read // as /, as file servers do; false for object stores.")

    @property
    def title(self) -> str:
        return f"{self.host}{self.path}"


class Config(Section):
    """Everything the operator chose. Frozen: a reload makes a new one."""

    server: Server = Field(description="Where we listen and what issuers sign for.")
    database: Database = Field(description="Where everything is recorded.")
    keys: Keys = Field(description="Our own keys.")
    agent: Agent = Field(description="The privileged part that touches this machine's files.")
    issuers: tuple[Issuer, ...] = Field((), description="Who may send notices.")
    adapters: Mapping[AdapterName, Table] = Field(default_factory=dict, description="Stores; members by their type.")
    gates: Mapping[AdapterName, Table] = Field(default_factory=dict, description="Servers that can refuse a URL.")
    caches: Mapping[AdapterName, Table] = Field(default_factory=dict, description="Caches in front of the stores.")
    routes: tuple[Route, ...] = Field((), description="From host and path to customer and store.")
    vault: Vault = Field(description="Where sealed evidence lies.")
    ledger: Ledger = Field(description="Where the history is copied to.")
    policy: PolicySettings = Field(description="What waits for a person.")
    callbacks: Callbacks = Field(description="How long we try to reach an issuer.")
    limits: Limits = Field(description="How much one sender may hand in.")
    worker: Worker = Field(description="How much the worker does at once.")
    source: Path = Field(Path("config.toml"), exclude=True, description="The file this was read from.")

    @property
    def folder(self) -> Path:
        """Relative paths start here; `conf.d` lies in it."""
        return self.source.parent

    def issuer(self, issuer_id: str) -> Issuer | None:
        return next((issuer for issuer in self.issuers if issuer.id == issuer_id), None)

    def sha256(self) -> str:
        """Same for processes that run with the same settings. Left out is `database`: each process has its own role."""
        told = self.model_dump(mode="json", exclude={"database"})
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
