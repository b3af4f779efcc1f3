"""Tables beside the cases: ledger, workers, keys, people. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, UniqueConstraint

from receiver.store.schema import at, metadata, partial, sealed, table, text_column, to

entry = Table(
    "entry",
    metadata,
    text_column("id", pk=True),
    at("at", null=False),
    text_column("kind"),
    text_column("subject"),
    Column("actor_commit", LargeBinary, nullable=False),
    Column("detail_commit", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("seq", BigInteger),
    # Entries without a number stay out of it, so that the next ones to be numbered are found in their own order.
    partial("uq_entry_seq", "seq", where="seq IS NOT NULL", unique=True),
    Index("ix_entry_subject_id", "subject", "id"),
    partial("ix_entry_pending", "id", where="seq IS NULL"),
)
entry_detail = table("entry_detail", text_column("entry", to("entry.id"), pk=True), sealed("data", null=False))
tile = table(
    "tile",
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
checkpoint = table(
    "checkpoint",
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    text_column("note"),
    text_column("copies"),
)
worker = table(
    "worker",
    text_column("id", pk=True),
    text_column("node"),
    text_column("slot"),
    text_column("boot"),
    Column("pid", Integer, nullable=False),
    at("seen_at", null=False),
    text_column("config_sha256"),
    Index("ix_worker_node_slot", "node", "slot"),
)
issuer_key = table(
    "issuer_key",
    text_column("issuer", pk=True),
    text_column("kid", pk=True),
    text_column("thumbprint"),
    text_column("state"),
    at("not_before"),
    at("not_after"),
    at("revoked_at"),
)
bucket = table("bucket", text_column("name", pk=True), at("full_at", null=False))
sweep = table("sweep", text_column("name", pk=True), at("last_success_at", null=False))
pause = table("pause", text_column("scope", pk=True), text_column("actor"), at("since_at", null=False))
page = table(
    "page",
    text_column("id", pk=True),
    text_column("kind"),
    text_column("subject"),
    text_column("text"),
    Column("count", Integer, nullable=False),
    at("last_at", null=False),
    at("acknowledged_at"),
    text_column("acknowledged_by", null=True),
    partial("uq_page_open", "kind", "subject", where="acknowledged_at IS NULL", unique=True),
    partial("ix_page_open_id", "id", where="acknowledged_at IS NULL"),
)
admin_user = table(
    "admin_user",
    text_column("name", pk=True),
    text_column("password_hash"),
    text_column("role"),
    Column("must_change", Boolean, nullable=False),
    at("disabled_at"),
)
session = table(
    "session",
    text_column("id_hash", pk=True),
    text_column("user"),
    at("seen_at", null=False),
    at("expires_at", null=False),
    Index("ix_session_user", "user"),
)
api_token = table(
    "api_token",
    text_column("id", pk=True),
    text_column("hash"),
    text_column("name"),
    text_column("user"),
    text_column("scope"),
    at("expires_at"),
    UniqueConstraint("hash"),
)
fact = table("fact", text_column("name", pk=True), text_column("value"))
"""What the database knows of itself, such as the mark of the data key it was written with."""
