"""What aggregate reports are made of, and which were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "dmarc_seen",
        sa.Column("uid", sa.String(40), primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("domain", sa.String(255), nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_index("dmarc_seen_by_day", "dmarc_seen", ["day", "domain"])
    op.create_table(
        "dmarc_reports",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("domain", sa.String(255), primary_key=True),
        sa.Column("sent_to", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
