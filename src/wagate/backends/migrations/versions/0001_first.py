"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _organizations()
    _keys()
    _sessions()
    _networks()
    _outbox()
    _messages()
    _receipts()
    _chats()
    _contacts()
    _groups()
    _members()
    _events()
    _purges()
    _engine_records()


def _organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("log_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("log_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("prefix", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("permissions", TEXT, nullable=False),
        sa.Column("session_ids", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("keys_by_digest", "keys", ["digest"], unique=True)
    op.create_index("keys_by_organization", "keys", ["organization_id", "id"], unique=False)


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("engine", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("status_reason", TEXT, nullable=True),
        sa.Column("wanted", TEXT, server_default="none", nullable=False),
        sa.Column("label", TEXT, nullable=True),
        sa.Column("created_by_user_id", TEXT, nullable=True),
        sa.Column("is_admin_session", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("auto_read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("presence_typing", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rate_per_min", sa.BigInteger(), nullable=False),
        sa.Column("rate_per_hour", sa.BigInteger(), nullable=False),
        sa.Column("phone_number", TEXT, nullable=True),
        sa.Column("wa_jid", TEXT, nullable=True),
        sa.Column("wa_lid", TEXT, nullable=True),
        sa.Column("qr_code", TEXT, nullable=True),
        sa.Column("qr_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("proxy", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_connected_at", sa.BigInteger(), nullable=True),
        sa.Column("gateway_id", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=True),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("sessions_by_organization", "sessions", ["organization_id", "id"], unique=False)
    op.create_index("sessions_wanted", "sessions", ["wanted", "lease_until"], unique=False)


def _networks() -> None:
    op.create_table(
        "networks",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=True),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("organization_id"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("position", POSITION, autoincrement=True, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("chat_jid", TEXT, nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("ready", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("content", TEXT, nullable=False),
        sa.Column("wire_id", TEXT, nullable=True),
        sa.Column("idempotency_key", TEXT, nullable=True),
        sa.Column("body_digest", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("budgeted_at", sa.BigInteger(), nullable=True),
        sa.Column("dispatched_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("timestamp", sa.BigInteger(), nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("position"),
    )
    _partial_index(
        "outbox_budget", "outbox", ["session_id", "budgeted_at"], unique=False, where=sa.text("budgeted_at IS NOT NULL")
    )
    op.create_index("outbox_by_id", "outbox", ["id"], unique=True)
    _partial_index(
        "outbox_by_key",
        "outbox",
        ["organization_id", "idempotency_key"],
        unique=True,
        where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index("outbox_by_session", "outbox", ["session_id", "position"], unique=False)
    _partial_index(
        "outbox_due", "outbox", ["session_id", "ready", "position"], unique=False, where=sa.text("status = 'queued'")
    )
    _partial_index("outbox_keyed", "outbox", ["created_at"], unique=False, where=sa.text("idempotency_key IS NOT NULL"))
    _partial_index(
        "outbox_open",
        "outbox",
        ["session_id", "chat_jid", "position"],
        unique=False,
        where=sa.text("settled_at IS NULL"),
    )
    _partial_index(
        "outbox_pending", "outbox", ["session_id", "position"], unique=False, where=sa.text("status = 'pending'")
    )
    _partial_index(
        "outbox_uncertain", "outbox", ["session_id", "chat_jid"], unique=False, where=sa.text("status = 'uncertain'")
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("position", POSITION, autoincrement=True, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("chat_jid", TEXT, nullable=False),
        sa.Column("wire_id", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("from_me", sa.BigInteger(), nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("edited", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sender_jid", TEXT, nullable=True),
        sa.Column("sender_lid", TEXT, nullable=True),
        sa.Column("sender_name", TEXT, nullable=True),
        sa.Column("body", TEXT, nullable=True),
        sa.Column("content", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=True),
        sa.Column("ack_level", sa.BigInteger(), nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("messages_by_chat", "messages", ["session_id", "chat_jid", "timestamp", "position"], unique=False)
    op.create_index("messages_once", "messages", ["session_id", "wire_id", "chat_jid", "author"], unique=True)


def _receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("chat_jid", TEXT, nullable=False),
        sa.Column("wire_id", TEXT, nullable=False),
        sa.Column("person", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "chat_jid", "wire_id", "person"),
        sqlite_with_rowid=False,
    )


def _chats() -> None:
    op.create_table(
        "chats",
        sa.Column("id", POSITION, autoincrement=True, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("jid", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("unread_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("archived", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pinned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_message_at", sa.BigInteger(), nullable=True),
        sa.Column("muted_until", sa.BigInteger(), nullable=True),
        sa.Column("aliases", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("chats_by_time", "chats", ["session_id", "pinned", "last_message_at", "id"], unique=False)
    op.create_index("chats_once", "chats", ["session_id", "jid"], unique=True)


def _contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", POSITION, autoincrement=True, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("jid", TEXT, nullable=True),
        sa.Column("lid", TEXT, nullable=True),
        sa.Column("push_name", TEXT, nullable=True),
        sa.Column("full_name", TEXT, nullable=True),
        sa.Column("business_name", TEXT, nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("contacts_by_jid", "contacts", ["session_id", "jid"], unique=True)
    op.create_index("contacts_by_lid", "contacts", ["session_id", "lid"], unique=True)


def _groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", POSITION, autoincrement=True, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("group_jid", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=True),
        sa.Column("description", TEXT, nullable=True),
        sa.Column("owner_jid", TEXT, nullable=True),
        sa.Column("is_announce", sa.BigInteger(), nullable=True),
        sa.Column("is_locked", sa.BigInteger(), nullable=True),
        sa.Column("created_at_wa", sa.BigInteger(), nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("groups_once", "groups", ["session_id", "group_jid"], unique=True)


def _members() -> None:
    op.create_table(
        "members",
        sa.Column("id", POSITION, autoincrement=True, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("group_jid", TEXT, nullable=False),
        sa.Column("jid", TEXT, nullable=False),
        sa.Column("lid", TEXT, nullable=False),
        sa.Column("phone_number", TEXT, nullable=True),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("tag", TEXT, nullable=True),
        sa.Column("present", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("members_by_lid", "members", ["session_id", "lid"], unique=False)
    op.create_index("members_once", "members", ["session_id", "group_jid", "jid"], unique=True)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sqlite_with_rowid=False,
    )


def _purges() -> None:
    op.create_table(
        "purges",
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("engine", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("session_id"),
    )


def _engine_records() -> None:
    op.create_table(
        "engine_records",
        sa.Column("engine", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("engine", "scope", "key"),
        sqlite_with_rowid=False,
    )


def _partial_index(name: str, table: str, columns: list[str], *, unique: bool, where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
