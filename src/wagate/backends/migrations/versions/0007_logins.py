"""Login tokens: what a person opens with a ticket ends with their login."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tickets", sa.Column("login_until", sa.BigInteger(), nullable=True))
