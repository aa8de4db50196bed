"""Accounts: keys of SCRAM-SHA-256, and the secret of CRAM-MD5."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; accounts that are there have neither until their next password."""
    op.add_column("accounts", sa.Column("scram", sa.Text))
    op.add_column("accounts", sa.Column("cram_md5", sa.Text))
