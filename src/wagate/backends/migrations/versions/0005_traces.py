"""Where a send and a delivery stand in their trace."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for table in ("outbox", "deliveries"):
        op.add_column(table, sa.Column("traceparent", TEXT, nullable=True))
