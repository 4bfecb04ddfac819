"""What clients of another product's HTTP say of sessions and groups, and webhooks that go with their session."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("remarks", TEXT, nullable=True))
    op.add_column("groups", sa.Column("tags", TEXT, nullable=True))
    op.add_column("webhooks", sa.Column("bound", sa.BigInteger(), server_default="0", nullable=False))
