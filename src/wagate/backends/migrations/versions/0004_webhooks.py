"""Webhooks and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("organizations", sa.Column("webhooks", sa.BigInteger(), server_default="0", nullable=False))
    _webhooks()
    _deliveries()


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("events", TEXT, nullable=False),
        sa.Column("every", sa.BigInteger(), nullable=False),
        sa.Column("session_id", TEXT, nullable=True),
        sa.Column("retry_policy", TEXT, nullable=False),
        sa.Column("active", sa.BigInteger(), nullable=False),
        sa.Column("ordered", sa.BigInteger(), nullable=False),
        sa.Column("custom_headers", TEXT, nullable=True),
        sa.Column("secret", TEXT, nullable=True),
        sa.Column("previous_secret", TEXT, nullable=True),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhooks_by_organization", "webhooks", ["organization_id", "id"], unique=False)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("webhook_id", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("payload", TEXT, nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.Column("lane", TEXT, nullable=True),
        sa.Column("ready", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("holder", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_response_code", sa.BigInteger(), nullable=True),
        sa.Column("last_error", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("webhook_id", "event_id"),
        sqlite_with_rowid=False,
    )
    _partial("deliveries_due", ["webhook_id", "due_at", "event_id"], "open = 1 AND ready = 1")
    _partial("deliveries_in_order", ["webhook_id", "lane", "event_id"], "open = 1 AND lane IS NOT NULL")
    _partial("deliveries_dead", ["webhook_id", "event_id"], "status = 'dead'")


def _partial(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        name, "deliveries", columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
