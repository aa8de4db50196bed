"""Recovery codes, and refusals that are counted until the audit has their number."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "recovery_codes",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user_name", sa.String(320), nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
    )
    op.create_index("recovery_codes_by_user", "recovery_codes", ["user_name"])
    op.create_table(
        "refusals",
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("stranger", sa.Boolean, nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("via", sa.String(20), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("written", sa.Integer, nullable=False),
        sa.Column("more", sa.Integer, nullable=False),
    )
