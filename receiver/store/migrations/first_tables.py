"""What revision 0001 makes, table by table; the order is that of the references among them."""

from __future__ import annotations

from receiver.store.migrations.making import blob, flag, index, number, small, table, text


def make_first_tables() -> None:
    _people_and_limits()
    _case()
    _ledger()
    _received()
    _pages_and_sessions()
    _tile_and_work()
    _done_in_a_case()
    _notice_and_seal()
    _direction_and_item()
    _claim_and_decision()
    _event()


def _people_and_limits() -> None:
    table(
        "admin_user",
        *text("name", "password_hash", "role"),
        *flag("must_change"),
        *number("disabled_at", null=True),
        key="name",
    )
    table(
        "api_token",
        *text("id", "hash", "name", "user", "scope"),
        *number("expires_at", null=True),
        unique=("hash",),
    )
    table("bucket", *text("name"), *number("full_at"), key="name")


def _case() -> None:
    table(
        "case_",
        *text("id", "code", "adapter"),
        *blob("locator", null=True),
        *text("locator_hmac"),
        *blob("scope", null=True),
        *text("customer", "want"),
        *small("round"),
        *number("revision"),
        *blob("observation", null=True),
        *text("residual"),
        *number("deadline_at", "blocked_at", "effective_at", null=True),
        *flag("was_public", null=True),
        *number("closed_at", null=True),
        unique=("code",),
    )
    index("ix_case_open_id", "case_", "id", where="closed_at IS NULL")
    index("uq_case_open", "case_", "adapter", "locator_hmac", where="closed_at IS NULL", unique=True)


def _ledger() -> None:
    table("checkpoint", *number("size", by_itself=False), *text("note", "copies"), key="size")
    table(
        "entry",
        *text("id"),
        *number("at"),
        *text("kind", "subject"),
        *blob("actor_commit", "detail_commit", "leaf_hash"),
        *number("seq", null=True),
        created_at=False,
    )
    index("ix_entry_pending", "entry", "id", where="seq IS NULL")
    index("ix_entry_subject_id", "entry", "subject", "id")
    index("uq_entry_seq", "entry", "seq", where="seq IS NOT NULL", unique=True)


def _received() -> None:
    table("fact", *text("name", "value"), key="name")
    table(
        "issuer_key",
        *text("issuer", "kid", "thumbprint", "state"),
        *number("not_before", "not_after", "revoked_at", null=True),
        key="issuer kid",
    )
    table(
        "message",
        *text("id", "channel", "issuer"),
        *blob("body", null=True),
        *text("sha256"),
        *blob("signature_input", "signature", "covered", null=True),
        *text("key_thumbprint"),
    )
    table(
        "nonce",
        *text("issuer", "nonce", "request_sha256", "status_path"),
        *number("expires_at"),
        key="issuer nonce",
    )
    index("ix_nonce_expires_at", "nonce", "expires_at")


def _pages_and_sessions() -> None:
    table(
        "page",
        *text("id", "kind", "subject", "text"),
        *small("count"),
        *number("last_at"),
        *number("acknowledged_at", null=True),
        *text("acknowledged_by", null=True),
    )
    index("ix_page_open_id", "page", "id", where="acknowledged_at IS NULL")
    index("uq_page_open", "page", "kind", "subject", where="acknowledged_at IS NULL", unique=True)
    table("pause", *text("scope", "actor"), *number("since_at"), key="scope")
    table("session", *text("id_hash", "user"), *number("seen_at", "expires_at"), key="id_hash")
    index("ix_session_user", "session", "user")
    table("sweep", *text("name"), *number("last_success_at"), key="name")


def _tile_and_work() -> None:
    table(
        "tile",
        *small("level", by_itself=False),
        *number("n", by_itself=False),
        *blob("hashes"),
        key="level n",
    )
    table(
        "work",
        *text("track", "subject", "state"),
        *number("due_at", null=True),
        *small("priority"),
        *text("owner", null=True),
        *number("epoch", "nudges"),
        *small("attempts"),
        *number("first_failed_at", null=True),
        *text("last_error", "stuck_from", null=True),
        key="track subject",
    )
    index("ix_work_class", "work", "track", "priority", "due_at", where="due_at IS NOT NULL")
    index("ix_work_due", "work", "track", "due_at", where="due_at IS NOT NULL")
    index("ix_work_owner", "work", "owner", where="owner IS NOT NULL")
    index("ix_work_state", "work", "track", "state", "subject")
    table(
        "worker",
        *text("id", "node", "slot", "boot"),
        *small("pid"),
        *number("seen_at"),
        *text("config_sha256"),
    )
    index("ix_worker_node_slot", "worker", "node", "slot")


def _done_in_a_case() -> None:
    table(
        "act",
        *text("op_id", "case", "track", "kind", "target"),
        *blob("intent", null=True),
        *number("begun_at"),
        *blob("receipt", null=True),
        *number("ended_at", null=True),
        *text("result", null=True),
        key="op_id",
        refers={"case": "case_.id"},
    )
    index("ix_act_case", "act", "case")
    table(
        "case_url",
        *text("case", "url_hmac"),
        *blob("url", "way", null=True),
        *text("verdict"),
        *number("checked_at", null=True),
        *blob("looks", null=True),
        key="case url_hmac",
        refers={"case": "case_.id"},
    )
    table("entry_detail", *text("entry"), *blob("data"), key="entry", refers={"entry": "entry.id"})
    table(
        "hold",
        *text("id", "case", "origin"),
        *blob("reference", null=True),
        *number("until_at", "released_at", null=True),
        refers={"case": "case_.id"},
    )
    index("ix_hold_case", "hold", "case")


def _notice_and_seal() -> None:
    table(
        "notice",
        *text("id", "notice_id", "issuer", "message_id", "body_sha256"),
        *number("issued_at"),
        *text("category", "kind"),
        *blob("handling", null=True),
        *number("deadline_at", null=True),
        *text("receipt"),
        *number("last_sequence"),
        refers={"message_id": "message.id"},
        unique=("issuer notice_id",),
    )
    index("ix_notice_issuer_id", "notice", "issuer", "id")
    index("ix_notice_message_id", "notice", "message_id")
    table(
        "seal",
        *text("id", "case"),
        *small("round"),
        *text("pin", "payload_ref", "header_ref", "sha256_plain_hmac", "sha256_sealed"),
        *number("size_bytes"),
        *text("manifest_ref", null=True),
        *flag("hash_match", null=True),
        *number("checked_at"),
        *number("removed_at", "retention_until_at", "destroyed_at", null=True),
        refers={"case": "case_.id"},
    )
    index("ix_seal_case", "seal", "case")
    index("ix_seal_header_ref", "seal", "header_ref")
    index("ix_seal_manifest_ref", "seal", "manifest_ref")
    index("ix_seal_payload_ref", "seal", "payload_ref")
    index("ix_seal_retention", "seal", "retention_until_at", where="destroyed_at IS NULL")


def _direction_and_item() -> None:
    table(
        "direction",
        *text("id", "direction_id", "notice", "message_id", "kind"),
        *text("items", null=True),
        *blob("reason", null=True),
        *number("until_at", null=True),
        *blob("reference", null=True),
        *number("issued_at"),
        *number("applied_at", null=True),
        refers={"message_id": "message.id", "notice": "notice.id"},
        unique=(
            "message_id",
            "notice direction_id",
        ),
    )
    table(
        "item",
        *text("id", "notice", "item_id"),
        *blob("url", "canonical", null=True),
        *text("url_hmac"),
        *blob("host", null=True),
        *text("status"),
        *text("reason", null=True),
        *number("status_at"),
        *text("approved_by", null=True),
        *number("withdrawn_at", "iccam_at", null=True),
        *blob("details", null=True),
        refers={"notice": "notice.id"},
        unique=("notice item_id",),
    )
    index("ix_item_status_id", "item", "status", "id")
    index("ix_item_url_hmac", "item", "url_hmac")


def _claim_and_decision() -> None:
    table(
        "claim",
        *text("item", "case", "act"),
        *small("rank"),
        key="item case",
        refers={"case": "case_.id", "item": "item.id"},
    )
    index("ix_claim_case", "claim", "case")
    index("ix_claim_created_at", "claim", "created_at")
    table(
        "decision",
        *text("id"),
        *text("case", "item", null=True),
        *text("kind", "actor"),
        *blob("reason", null=True),
        *text("request_sha256", "state"),
        *small("needs"),
        *text("approvals"),
        *number("expires_at", null=True),
        refers={"case": "case_.id", "item": "item.id"},
    )
    index("ix_decision_case", "decision", "case")
    index("ix_decision_item", "decision", "item")
    index("ix_decision_state_id", "decision", "state", "id")


def _event() -> None:
    table(
        "event",
        *text("id", "notice", "item", "item_id"),
        *number("sequence"),
        *text("status"),
        *blob("data", null=True),
        *number("delivered_at", "dead_at", null=True),
        refers={"item": "item.id", "notice": "notice.id"},
        unique=("notice sequence",),
    )
    index("ix_event_dead", "event", "id", where="dead_at IS NOT NULL")
    index("ix_event_item", "event", "item")
    index("ix_event_undelivered", "event", "notice", "sequence", where="delivered_at IS NULL AND dead_at IS NULL")
