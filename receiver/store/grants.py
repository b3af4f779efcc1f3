"""What each process's PostgreSQL role may do, as SQL for the owner of the tables to run after each upgrade.

A stranger who takes over the public side can record notices and nothing else: no status, no key, no lease, no callback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from receiver.store.errors import SchemaError
from receiver.store.tables import metadata

_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_WEB: dict[str, tuple[str, ...]] = {
    "message": ("SELECT", "INSERT"),
    "nonce": ("SELECT", "INSERT"),
    "notice": ("SELECT", "INSERT", "UPDATE (last_sequence)"),
    "item": ("SELECT", "INSERT"),
    "direction": ("SELECT", "INSERT"),
    "event": ("SELECT", "INSERT"),
    "entry": ("SELECT", "INSERT"),
    "entry_detail": ("INSERT",),
    "work": ("SELECT", "INSERT", "UPDATE (due_at, nudges, state, priority)"),
    "worker": ("SELECT", "INSERT", "UPDATE (pid, seen_at, config_sha256)", "DELETE"),
    "bucket": ("SELECT", "INSERT", "UPDATE (full_at)"),
    "claim": ("SELECT",),
    "decision": ("SELECT",),
    "issuer_key": ("SELECT",),
    "pause": ("SELECT",),
    "fact": ("SELECT",),
    "alembic_version": ("SELECT",),
}
_ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
_ADMIN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(metadata.tables, ("SELECT",)),
    "alembic_version": ("SELECT",),
    **dict.fromkeys(("admin_user", "session", "api_token", "pause", "page", "issuer_key", "worker", "bucket"), _ALL),
    "decision": ("SELECT", "INSERT", "UPDATE"),
    "entry": ("SELECT", "INSERT"),
    "entry_detail": ("SELECT", "INSERT"),
    "case_": ("SELECT", "UPDATE (revision)"),
    "event": ("SELECT", "UPDATE (dead_at)"),
    "work": ("SELECT", "INSERT", "UPDATE (due_at, nudges, state, priority)"),
}
_WORKER: dict[str, tuple[str, ...]] = {**dict.fromkeys(metadata.tables, _ALL), "alembic_version": ("SELECT",)}

FACES: Mapping[str, Mapping[str, tuple[str, ...]]] = {"web": _WEB, "admin": _ADMIN, "worker": _WORKER}
"""What each process's role is granted, by table."""

_RULES: dict[str, tuple[tuple[str, str], ...]] = {
    # Nobody on the public side may wake, make or move any other track than the reading of notices.
    "work": (
        ("INSERT", "WITH CHECK (track = 'resolve' AND owner IS NULL)"),
        ("UPDATE", "USING (track = 'resolve') WITH CHECK (track = 'resolve')"),
    ),
    # The worker signs whatever event waits for delivery, so none may be slipped to it.
    "event": (("INSERT", "WITH CHECK (status = 'received' AND delivered_at IS NOT NULL)"),),
    "worker": (
        ("INSERT", "WITH CHECK (slot LIKE 'web%')"),
        ("UPDATE", "USING (slot LIKE 'web%') WITH CHECK (slot LIKE 'web%')"),
        ("DELETE", "USING (slot LIKE 'web%')"),
    ),
}
"""Which rows the web role may write; other roles write all that their grants allow."""


def grants(*, web: str, admin: str, worker: str) -> tuple[str, ...]:
    """Statements for the owner of the tables, safe to run again. Raises SchemaError for an unfit role name."""
    for role in (web, admin, worker):
        if not _ROLE.fullmatch(role):
            raise SchemaError("a role is named by small letters, digits and _, and starts with a letter")
    if len({web, admin, worker}) != 3:
        raise SchemaError("web, admin and worker need a role each")
    statements = [f"GRANT USAGE ON SCHEMA public TO {web}, {admin}, {worker}"]
    for role, allowed in ((web, _WEB), (admin, _ADMIN), (worker, _WORKER)):
        statements.append(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
        statements += [f'GRANT {", ".join(acts)} ON "{table}" TO {role}' for table, acts in sorted(allowed.items())]
    for table, rules in _RULES.items():
        statements.append(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        statements += _policy(table, "inside", "ALL", f"{admin}, {worker}", "USING (true) WITH CHECK (true)")
        statements += _policy(table, "web_reads", "SELECT", web, "USING (true)")
        for act, rule in rules:
            statements += _policy(table, f"web_{act.lower()}s", act, web, rule)
    return tuple(statements)


def columns_of(act: str) -> tuple[str, tuple[str, ...]]:
    """`UPDATE (a, b)` as the verb and its columns; none where the whole table is meant."""
    verb, _, columns = act.partition(" (")
    return verb, tuple(name.strip() for name in columns.rstrip(")").split(",") if name.strip())


def _policy(table: str, name: str, act: str, roles: str, rule: str) -> list[str]:
    return [
        f'DROP POLICY IF EXISTS {name} ON "{table}"',
        f'CREATE POLICY {name} ON "{table}" FOR {act} TO {roles} {rule}',
    ]
