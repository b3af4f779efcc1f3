"""The first tables."""

from __future__ import annotations

from alembic import op

from receiver.store.migrations.first_tables import make_first_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_first_tables()
    if op.get_bind().dialect.name == "sqlite":
        for statement in _SQLITE_TRIGGERS:
            op.execute(statement)
    else:
        for statement in _POSTGRESQL_TRIGGERS:
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first tables; restore a backup instead")


_SAME = " AND ".join(
    f"NEW.{name} = OLD.{name}" for name in ("id", "at", "kind", "subject", "actor_commit", "detail_commit", "leaf_hash")
)
_SQLITE_TRIGGERS = (
    """CREATE TRIGGER entry_stays BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'the ledger keeps every entry'); END""",
    f"""CREATE TRIGGER entry_is_final BEFORE UPDATE ON entry
    WHEN NOT (OLD.seq IS NULL AND NEW.seq IS NOT NULL AND {_SAME})
    BEGIN SELECT RAISE(ABORT, 'a ledger entry only ever gets its number'); END""",
)
_POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION entry_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a ledger entry stays as it is and only ever gets its number'
    USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER entry_stays BEFORE DELETE ON entry FOR EACH ROW EXECUTE FUNCTION entry_refuse()""",
    """CREATE TRIGGER entry_keeps BEFORE TRUNCATE ON entry FOR EACH STATEMENT EXECUTE FUNCTION entry_refuse()""",
    f"""CREATE TRIGGER entry_is_final BEFORE UPDATE ON entry FOR EACH ROW
    WHEN (NOT (OLD.seq IS NULL AND NEW.seq IS NOT NULL AND {_SAME})) EXECUTE FUNCTION entry_refuse()""",
)
