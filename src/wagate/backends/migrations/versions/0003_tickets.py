"""Tickets: a realtime connection's credential, good once and for seconds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "tickets",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("organization_id", TEXT, nullable=False),
        sa.Column("key_id", TEXT, nullable=True),
        sa.Column("key_digest", TEXT, nullable=True),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=True),
        sa.Column("events", TEXT, nullable=True),
        sa.Column("since", TEXT, nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("tickets_by_end", "tickets", ["expires_at"], unique=False)
