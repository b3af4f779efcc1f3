"""Alembic's way in. The connection comes from `receiver.store.migrate`, which holds the lock and the transaction."""

from __future__ import annotations

from alembic import context

from receiver.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by making it anew.
    render_as_batch=True,
)
context.run_migrations()
