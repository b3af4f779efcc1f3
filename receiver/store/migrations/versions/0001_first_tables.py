"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_tables()
    if op.get_bind().dialect.name == "sqlite":
        for statement in _SQLITE_TRIGGERS:
            op.execute(statement)
    else:
        for statement in _POSTGRESQL_TRIGGERS:
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first tables; restore a backup instead")


_SAME = " AND ".join(
    f"NEW.{name} = OLD.{name}"
    for name in ("id", "at", "kind", "subject", "actor_commit", "detail_commit", "leaf_hash")
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


def _make_tables() -> None:
    op.create_table('admin_user',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('must_change', sa.Boolean(), nullable=False),
    sa.Column('disabled_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_admin_user'))
    )
    op.create_table('api_token',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('hash', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('user', sa.Text(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_token')),
    sa.UniqueConstraint('hash', name=op.f('uq_api_token_hash'))
    )
    op.create_table('bucket',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('full_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_bucket'))
    )
    op.create_table('case_',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('adapter', sa.Text(), nullable=False),
    sa.Column('locator', sa.LargeBinary(), nullable=True),
    sa.Column('locator_hmac', sa.Text(), nullable=False),
    sa.Column('scope', sa.LargeBinary(), nullable=True),
    sa.Column('customer', sa.Text(), nullable=False),
    sa.Column('want', sa.Text(), nullable=False),
    sa.Column('round', sa.Integer(), nullable=False),
    sa.Column('revision', sa.BigInteger(), nullable=False),
    sa.Column('observation', sa.LargeBinary(), nullable=True),
    sa.Column('residual', sa.Text(), nullable=False),
    sa.Column('deadline_at', sa.BigInteger(), nullable=True),
    sa.Column('blocked_at', sa.BigInteger(), nullable=True),
    sa.Column('effective_at', sa.BigInteger(), nullable=True),
    sa.Column('was_public', sa.Boolean(), nullable=True),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_case_')),
    sa.UniqueConstraint('code', name=op.f('uq_case__code'))
    )
    op.create_index('ix_case_open_id', 'case_', ['id'], unique=False, sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'))
    op.create_index('uq_case_open', 'case_', ['adapter', 'locator_hmac'], unique=True, sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'))
    op.create_table('checkpoint',
    sa.Column('size', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('copies', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('size', name=op.f('pk_checkpoint'))
    )
    op.create_table('entry',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('actor_commit', sa.LargeBinary(), nullable=False),
    sa.Column('detail_commit', sa.LargeBinary(), nullable=False),
    sa.Column('leaf_hash', sa.LargeBinary(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_entry'))
    )
    op.create_index('ix_entry_pending', 'entry', ['id'], unique=False, sqlite_where=sa.text('seq IS NULL'), postgresql_where=sa.text('seq IS NULL'))
    op.create_index('ix_entry_subject_id', 'entry', ['subject', 'id'], unique=False)
    op.create_index('uq_entry_seq', 'entry', ['seq'], unique=True, sqlite_where=sa.text('seq IS NOT NULL'), postgresql_where=sa.text('seq IS NOT NULL'))
    op.create_table('fact',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_fact'))
    )
    op.create_table('issuer_key',
    sa.Column('issuer', sa.Text(), nullable=False),
    sa.Column('kid', sa.Text(), nullable=False),
    sa.Column('thumbprint', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('not_before', sa.BigInteger(), nullable=True),
    sa.Column('not_after', sa.BigInteger(), nullable=True),
    sa.Column('revoked_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('issuer', 'kid', name=op.f('pk_issuer_key'))
    )
    op.create_table('message',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('issuer', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=True),
    sa.Column('sha256', sa.Text(), nullable=False),
    sa.Column('signature_input', sa.LargeBinary(), nullable=True),
    sa.Column('signature', sa.LargeBinary(), nullable=True),
    sa.Column('covered', sa.LargeBinary(), nullable=True),
    sa.Column('key_thumbprint', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_message'))
    )
    op.create_table('nonce',
    sa.Column('issuer', sa.Text(), nullable=False),
    sa.Column('nonce', sa.Text(), nullable=False),
    sa.Column('request_sha256', sa.Text(), nullable=False),
    sa.Column('status_path', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('issuer', 'nonce', name=op.f('pk_nonce'))
    )
    op.create_index('ix_nonce_expires_at', 'nonce', ['expires_at'], unique=False)
    op.create_table('page',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('last_at', sa.BigInteger(), nullable=False),
    sa.Column('acknowledged_at', sa.BigInteger(), nullable=True),
    sa.Column('acknowledged_by', sa.Text(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_page'))
    )
    op.create_index('ix_page_open_id', 'page', ['id'], unique=False, sqlite_where=sa.text('acknowledged_at IS NULL'), postgresql_where=sa.text('acknowledged_at IS NULL'))
    op.create_index('uq_page_open', 'page', ['kind', 'subject'], unique=True, sqlite_where=sa.text('acknowledged_at IS NULL'), postgresql_where=sa.text('acknowledged_at IS NULL'))
    op.create_table('pause',
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('since_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('scope', name=op.f('pk_pause'))
    )
    op.create_table('session',
    sa.Column('id_hash', sa.Text(), nullable=False),
    sa.Column('user', sa.Text(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id_hash', name=op.f('pk_session'))
    )
    op.create_index('ix_session_user', 'session', ['user'], unique=False)
    op.create_table('sweep',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('last_success_at', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_sweep'))
    )
    op.create_table('tile',
    sa.Column('level', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('n', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('hashes', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('level', 'n', name=op.f('pk_tile'))
    )
    op.create_table('work',
    sa.Column('track', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('due_at', sa.BigInteger(), nullable=True),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('owner', sa.Text(), nullable=True),
    sa.Column('epoch', sa.BigInteger(), nullable=False),
    sa.Column('nudges', sa.BigInteger(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('first_failed_at', sa.BigInteger(), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('stuck_from', sa.Text(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('track', 'subject', name=op.f('pk_work'))
    )
    op.create_index('ix_work_class', 'work', ['track', 'priority', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_work_due', 'work', ['track', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_work_owner', 'work', ['owner'], unique=False, sqlite_where=sa.text('owner IS NOT NULL'), postgresql_where=sa.text('owner IS NOT NULL'))
    op.create_index('ix_work_state', 'work', ['track', 'state', 'subject'], unique=False)
    op.create_table('worker',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('node', sa.Text(), nullable=False),
    sa.Column('slot', sa.Text(), nullable=False),
    sa.Column('boot', sa.Text(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('seen_at', sa.BigInteger(), nullable=False),
    sa.Column('config_sha256', sa.Text(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_worker'))
    )
    op.create_index('ix_worker_node_slot', 'worker', ['node', 'slot'], unique=False)
    op.create_table('act',
    sa.Column('op_id', sa.Text(), nullable=False),
    sa.Column('case', sa.Text(), nullable=False),
    sa.Column('track', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('target', sa.Text(), nullable=False),
    sa.Column('intent', sa.LargeBinary(), nullable=True),
    sa.Column('begun_at', sa.BigInteger(), nullable=False),
    sa.Column('receipt', sa.LargeBinary(), nullable=True),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('result', sa.Text(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['case'], ['case_.id'], name=op.f('fk_act_case')),
    sa.PrimaryKeyConstraint('op_id', name=op.f('pk_act'))
    )
    op.create_index('ix_act_case', 'act', ['case'], unique=False)
    op.create_table('case_url',
    sa.Column('case', sa.Text(), nullable=False),
    sa.Column('url_hmac', sa.Text(), nullable=False),
    sa.Column('url', sa.LargeBinary(), nullable=True),
    sa.Column('way', sa.LargeBinary(), nullable=True),
    sa.Column('verdict', sa.Text(), nullable=False),
    sa.Column('checked_at', sa.BigInteger(), nullable=True),
    sa.Column('looks', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['case'], ['case_.id'], name=op.f('fk_case_url_case')),
    sa.PrimaryKeyConstraint('case', 'url_hmac', name=op.f('pk_case_url'))
    )
    op.create_table('entry_detail',
    sa.Column('entry', sa.Text(), nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['entry'], ['entry.id'], name=op.f('fk_entry_detail_entry')),
    sa.PrimaryKeyConstraint('entry', name=op.f('pk_entry_detail'))
    )
    op.create_table('hold',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('case', sa.Text(), nullable=False),
    sa.Column('origin', sa.Text(), nullable=False),
    sa.Column('reference', sa.LargeBinary(), nullable=True),
    sa.Column('until_at', sa.BigInteger(), nullable=True),
    sa.Column('released_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['case'], ['case_.id'], name=op.f('fk_hold_case')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hold'))
    )
    op.create_index('ix_hold_case', 'hold', ['case'], unique=False)
    op.create_table('notice',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('notice_id', sa.Text(), nullable=False),
    sa.Column('issuer', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('body_sha256', sa.Text(), nullable=False),
    sa.Column('issued_at', sa.BigInteger(), nullable=False),
    sa.Column('category', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('handling', sa.LargeBinary(), nullable=True),
    sa.Column('deadline_at', sa.BigInteger(), nullable=True),
    sa.Column('receipt', sa.Text(), nullable=False),
    sa.Column('last_sequence', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_notice_message_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notice')),
    sa.UniqueConstraint('issuer', 'notice_id', name=op.f('uq_notice_issuer_notice_id'))
    )
    op.create_index('ix_notice_issuer_id', 'notice', ['issuer', 'id'], unique=False)
    op.create_index('ix_notice_message_id', 'notice', ['message_id'], unique=False)
    op.create_table('seal',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('case', sa.Text(), nullable=False),
    sa.Column('round', sa.Integer(), nullable=False),
    sa.Column('pin', sa.Text(), nullable=False),
    sa.Column('payload_ref', sa.Text(), nullable=False),
    sa.Column('header_ref', sa.Text(), nullable=False),
    sa.Column('sha256_plain_hmac', sa.Text(), nullable=False),
    sa.Column('sha256_sealed', sa.Text(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('manifest_ref', sa.Text(), nullable=True),
    sa.Column('hash_match', sa.Boolean(), nullable=True),
    sa.Column('checked_at', sa.BigInteger(), nullable=False),
    sa.Column('removed_at', sa.BigInteger(), nullable=True),
    sa.Column('retention_until_at', sa.BigInteger(), nullable=True),
    sa.Column('destroyed_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['case'], ['case_.id'], name=op.f('fk_seal_case')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_seal'))
    )
    op.create_index('ix_seal_case', 'seal', ['case'], unique=False)
    op.create_index('ix_seal_header_ref', 'seal', ['header_ref'], unique=False)
    op.create_index('ix_seal_manifest_ref', 'seal', ['manifest_ref'], unique=False)
    op.create_index('ix_seal_payload_ref', 'seal', ['payload_ref'], unique=False)
    op.create_index('ix_seal_retention', 'seal', ['retention_until_at'], unique=False, sqlite_where=sa.text('destroyed_at IS NULL'), postgresql_where=sa.text('destroyed_at IS NULL'))
    op.create_table('direction',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('direction_id', sa.Text(), nullable=False),
    sa.Column('notice', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('items', sa.Text(), nullable=True),
    sa.Column('reason', sa.LargeBinary(), nullable=True),
    sa.Column('until_at', sa.BigInteger(), nullable=True),
    sa.Column('reference', sa.LargeBinary(), nullable=True),
    sa.Column('issued_at', sa.BigInteger(), nullable=False),
    sa.Column('applied_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_direction_message_id')),
    sa.ForeignKeyConstraint(['notice'], ['notice.id'], name=op.f('fk_direction_notice')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_direction')),
    sa.UniqueConstraint('message_id', name=op.f('uq_direction_message_id')),
    sa.UniqueConstraint('notice', 'direction_id', name=op.f('uq_direction_notice_direction_id'))
    )
    op.create_table('item',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('notice', sa.Text(), nullable=False),
    sa.Column('item_id', sa.Text(), nullable=False),
    sa.Column('url', sa.LargeBinary(), nullable=True),
    sa.Column('canonical', sa.LargeBinary(), nullable=True),
    sa.Column('url_hmac', sa.Text(), nullable=False),
    sa.Column('host', sa.LargeBinary(), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('status_at', sa.BigInteger(), nullable=False),
    sa.Column('approved_by', sa.Text(), nullable=True),
    sa.Column('withdrawn_at', sa.BigInteger(), nullable=True),
    sa.Column('iccam_at', sa.BigInteger(), nullable=True),
    sa.Column('details', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['notice'], ['notice.id'], name=op.f('fk_item_notice')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_item')),
    sa.UniqueConstraint('notice', 'item_id', name=op.f('uq_item_notice_item_id'))
    )
    op.create_index('ix_item_status_id', 'item', ['status', 'id'], unique=False)
    op.create_index('ix_item_url_hmac', 'item', ['url_hmac'], unique=False)
    op.create_table('claim',
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('case', sa.Text(), nullable=False),
    sa.Column('act', sa.Text(), nullable=False),
    sa.Column('rank', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['case'], ['case_.id'], name=op.f('fk_claim_case')),
    sa.ForeignKeyConstraint(['item'], ['item.id'], name=op.f('fk_claim_item')),
    sa.PrimaryKeyConstraint('item', 'case', name=op.f('pk_claim'))
    )
    op.create_index('ix_claim_case', 'claim', ['case'], unique=False)
    op.create_index('ix_claim_created_at', 'claim', ['created_at'], unique=False)
    op.create_table('decision',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('case', sa.Text(), nullable=True),
    sa.Column('item', sa.Text(), nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('reason', sa.LargeBinary(), nullable=True),
    sa.Column('request_sha256', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('needs', sa.Integer(), nullable=False),
    sa.Column('approvals', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['case'], ['case_.id'], name=op.f('fk_decision_case')),
    sa.ForeignKeyConstraint(['item'], ['item.id'], name=op.f('fk_decision_item')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_decision'))
    )
    op.create_index('ix_decision_case', 'decision', ['case'], unique=False)
    op.create_index('ix_decision_item', 'decision', ['item'], unique=False)
    op.create_index('ix_decision_state_id', 'decision', ['state', 'id'], unique=False)
    op.create_table('event',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('notice', sa.Text(), nullable=False),
    sa.Column('item', sa.Text(), nullable=False),
    sa.Column('item_id', sa.Text(), nullable=False),
    sa.Column('sequence', sa.BigInteger(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=True),
    sa.Column('delivered_at', sa.BigInteger(), nullable=True),
    sa.Column('dead_at', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['item'], ['item.id'], name=op.f('fk_event_item')),
    sa.ForeignKeyConstraint(['notice'], ['notice.id'], name=op.f('fk_event_notice')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event')),
    sa.UniqueConstraint('notice', 'sequence', name=op.f('uq_event_notice_sequence'))
    )
    op.create_index('ix_event_dead', 'event', ['id'], unique=False, sqlite_where=sa.text('dead_at IS NOT NULL'), postgresql_where=sa.text('dead_at IS NOT NULL'))
    op.create_index('ix_event_item', 'event', ['item'], unique=False)
    op.create_index('ix_event_undelivered', 'event', ['notice', 'sequence'], unique=False, sqlite_where=sa.text('delivered_at IS NULL AND dead_at IS NULL'), postgresql_where=sa.text('delivered_at IS NULL AND dead_at IS NULL'))
