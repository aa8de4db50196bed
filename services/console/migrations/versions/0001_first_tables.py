"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "events",
        sa.Column("uid", sa.String(40), primary_key=True),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_index("events_by_id", "events", ["id", "at"])
    op.create_table(
        "messages",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("first_seen", sa.Double, nullable=False),
        sa.Column("last_seen", sa.Double, nullable=False),
        sa.Column("listener", sa.Text),
        sa.Column("client", sa.Text),
        sa.Column("sender", sa.Text),
        sa.Column("recipients", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("size_bytes", sa.Integer),
        sa.Column("verdict", sa.String(20)),
        sa.Column("state", sa.String(20)),
        sa.Column("state_at", sa.Double),
        sa.Column("parent", sa.String(40)),
    )
    op.create_index("messages_by_time", "messages", ["last_seen"])
    op.create_index("messages_by_state", "messages", ["state", "first_seen"])
    op.create_index("messages_by_parent", "messages", ["parent"])
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("part", sa.String(16), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("check", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("sender", sa.Text),
        sa.Column("recipients", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("message_type", sa.Text),
        sa.Column("envelope", sa.Text),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("stored_at", sa.Double, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("state_at", sa.Double, nullable=False),
    )
    op.create_index("quarantine_by_state", "quarantine", ["state", "received_at"])
    op.create_table(
        "unreadable",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("stored_at", sa.Double, nullable=False),
    )
    op.create_table(
        "policy_history",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("login", sa.String(320), primary_key=True),
        sa.Column("argon2", sa.Text, nullable=False),
        sa.Column("senders", sa.Text, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "account_books",
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("uid", sa.String(40), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("audit_by_time", "audit", ["at"])
