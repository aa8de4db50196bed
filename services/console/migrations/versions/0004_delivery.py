"""Hops, reports on TLS, DKIM keys, orders, and what messages wait for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables and columns."""
    op.create_table(
        "hops",
        sa.Column("hop", sa.String(320), primary_key=True),
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("until", sa.Double),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "tls_seen",
        sa.Column("uid", sa.String(40), primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("domain", sa.String(255), nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_index("tls_seen_by_day", "tls_seen", ["day", "domain"])
    op.create_table(
        "tls_reports",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("domain", sa.String(255), primary_key=True),
        sa.Column("sent_to", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "dkim_keys",
        sa.Column("domain", sa.String(255), primary_key=True),
        sa.Column("selector", sa.String(63), primary_key=True),
        sa.Column("algorithm", sa.String(20), nullable=False),
        sa.Column("private_key", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("state_at", sa.Double, nullable=False),
        sa.Column("keep_until", sa.Double),
    )
    op.create_table(
        "key_books",
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("orders_by_time", "orders", ["at"])
    for column in (sa.Column("hop", sa.Text), sa.Column("not_before", sa.Double), sa.Column("waits_for", sa.Text)):
        op.add_column("messages", column)
