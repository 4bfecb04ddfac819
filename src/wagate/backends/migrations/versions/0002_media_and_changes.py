"""Media, reactions, votes, polls that end, backfills, and how contacts are known."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# Whoever has a chat of their own, or is in a group, is a contact.
_ADD_FROM_CHATS = """
INSERT INTO contacts (organization_id, session_id, jid, lid, first_seen_at, updated_at)
SELECT h.organization_id, h.session_id, CASE WHEN substr(h.jid, length(h.jid) - 3) = '@lid' THEN NULL ELSE h.jid END,
  CASE WHEN substr(h.jid, length(h.jid) - 3) = '@lid' THEN h.jid ELSE NULL END,
  COALESCE(h.last_message_at, 0), COALESCE(h.last_message_at, 0)
FROM chats h WHERE (substr(h.jid, length(h.jid) - 14) = '@s.whatsapp.net'
    OR substr(h.jid, length(h.jid) - 3) = '@lid')
  AND NOT EXISTS (
  SELECT 1 FROM contacts c WHERE c.session_id = h.session_id AND (c.jid = h.jid OR c.lid = h.jid))
"""
_ADD_FROM_GROUPS = """
INSERT INTO contacts (organization_id, session_id, jid, lid, first_seen_at, updated_at)
SELECT m.organization_id, m.session_id, CASE WHEN substr(m.jid, length(m.jid) - 3) = '@lid' THEN NULL ELSE m.jid END,
  CASE WHEN substr(m.lid, length(m.lid) - 3) = '@lid' THEN m.lid ELSE NULL END, m.first_seen_at, m.last_seen_at
FROM members m WHERE NOT EXISTS (
  SELECT 1 FROM contacts c WHERE c.session_id = m.session_id AND (c.jid = m.jid OR c.lid = m.lid))
  AND NOT EXISTS (SELECT 1 FROM members n WHERE n.session_id = m.session_id AND n.id < m.id
    AND (n.jid = m.jid OR n.lid = m.lid))
"""
_KNOW_FROM_CHATS = """
UPDATE contacts SET direct = 1 WHERE EXISTS (
  SELECT 1 FROM chats h WHERE h.session_id = contacts.session_id AND h.jid IN (contacts.jid, contacts.lid))
"""
_KNOW_FROM_GROUPS = """
UPDATE contacts SET grouped = 1 WHERE EXISTS (
  SELECT 1 FROM members m WHERE m.session_id = contacts.session_id AND m.lid IN (contacts.lid, contacts.jid))
"""
_SEARCH = """
UPDATE contacts SET search = LOWER(COALESCE(full_name, push_name, '')) || ' '
  || REPLACE(COALESCE(jid, ''), '@s.whatsapp.net', '')
"""


def upgrade() -> None:
    _media()
    _reactions()
    _votes()
    _polls()
    _backfills()
    _contacts()
    _one_address()


def _media() -> None:
    op.create_table(
        "media",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=True),
        sa.Column("mimetype", TEXT, nullable=False),
        sa.Column("filename", TEXT, nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("media_by_session", "media", ["session_id", "id"], unique=False)
    _partial("media_here", "media", ["expires_at"], "gone_at IS NULL")


def _about_a_message(table: str, *columns: sa.schema.SchemaItem) -> None:
    op.create_table(
        table,
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("chat_jid", TEXT, nullable=False),
        sa.Column("wire_id", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        *columns,
        sqlite_with_rowid=False,
    )


def _reactions() -> None:
    _about_a_message(
        "reactions",
        sa.Column("person", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("emoji", TEXT, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "chat_jid", "wire_id", "author", "person"),
    )


def _votes() -> None:
    _about_a_message(
        "votes",
        sa.Column("person", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("options", TEXT, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "chat_jid", "wire_id", "author", "person"),
    )


def _polls() -> None:
    _about_a_message(
        "polls",
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("recapped_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("session_id", "chat_jid", "wire_id", "author"),
    )
    _partial("polls_due", "polls", ["ends_at"], "recapped_at IS NULL")


def _backfills() -> None:
    op.create_table(
        "backfills",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("contacts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("groups", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("group_members", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("backfills_by_session", "backfills", ["session_id"], unique=True)
    _partial("backfills_running", "backfills", ["session_id"], "status = 'running'")


def _contacts() -> None:
    op.add_column("contacts", sa.Column("direct", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("contacts", sa.Column("grouped", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("contacts", sa.Column("search", TEXT, server_default="", nullable=False))
    for statement in (_ADD_FROM_CHATS, _ADD_FROM_GROUPS, _KNOW_FROM_CHATS, _KNOW_FROM_GROUPS, _SEARCH):
        op.execute(statement)
    op.create_index("contacts_in_order", "contacts", ["session_id", "id"], unique=False)
    _partial("contacts_direct", "contacts", ["session_id", "id"], "direct = 1 OR grouped = 0")
    _partial("contacts_grouped", "contacts", ["session_id", "id"], "grouped = 1")


def _one_address() -> None:
    without_phone = "sender_jid IS NULL AND sender_lid IS NOT NULL"
    without_lid = "sender_lid IS NULL AND sender_jid IS NOT NULL"
    _partial("messages_without_phone", "messages", ["session_id", "sender_lid"], without_phone)
    _partial("messages_without_lid", "messages", ["session_id", "sender_jid"], without_lid)
    for table in ("receipts", "reactions", "votes"):
        _partial(f"{table}_without_phone", table, ["person"], "substr(person, length(person) - 3) = '@lid'")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
