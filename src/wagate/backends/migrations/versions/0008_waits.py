"""Until when WhatsApp keeps a session from writing to anybody new, and from coming in at all."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("strangers_at", sa.BigInteger(), nullable=True))
    op.add_column("sessions", sa.Column("banned_until", sa.BigInteger(), nullable=True))
