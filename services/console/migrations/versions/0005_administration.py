"""Users of the console, words to find messages by, reports of quarantine, where an action came from."""

import sqlalchemy as sa
from alembic import op

from services.console.words import time_of, words_of_row

revision = "0005"
down_revision = "0004"

_ROWS_AT_ONCE = 2000
_messages = sa.table(
    "messages", *(sa.column(name) for name in ("id", "first_seen", "sender", "recipients", "client", "subject"))
)


def upgrade() -> None:
    """Add the tables and columns."""
    op.create_table(
        "users",
        sa.Column("name", sa.String(320), primary_key=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("domains", sa.Text),
        sa.Column("argon2", sa.Text, nullable=False),
        sa.Column("totp_secret", sa.Text),
        sa.Column("totp_step", sa.Integer),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(1400), primary_key=True),
        sa.Column("user_name", sa.String(320), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.Integer, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
    )
    op.create_index("passkeys_by_user", "passkeys", ["user_name"])
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user_name", sa.String(320), nullable=False),
        sa.Column("step", sa.String(20), nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("challenge", sa.String(200)),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
    )
    op.create_index("sessions_by_end", "sessions", ["ends_at"])
    op.create_index("sessions_by_user", "sessions", ["user_name"])
    op.create_table(
        "tokens",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(40), nullable=False, unique=True),
        sa.Column("user_name", sa.String(320), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("domains", sa.Text),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
        sa.Column("used_from", sa.String(64)),
    )
    op.create_index("tokens_by_user", "tokens", ["user_name"])
    op.create_table(
        "invitations",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user_name", sa.String(320), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
    )
    op.create_table(
        "failed_logins",
        sa.Column("uid", sa.String(40), primary_key=True),
        sa.Column("subject", sa.String(320), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("failed_logins_by_subject", "failed_logins", ["subject", "at"])
    op.create_table(
        "message_words",
        sa.Column("word", sa.String(120), primary_key=True),
        sa.Column("at", sa.Double, primary_key=True),
        sa.Column("id", sa.String(40), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("message_words_by_time", "message_words", ["at"])
    op.create_table(
        "digests",
        sa.Column("recipient", sa.String(320), primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("sent_at", sa.Double, nullable=False),
    )
    op.add_column("audit", sa.Column("address", sa.String(64), nullable=False, server_default=""))
    op.add_column("audit", sa.Column("via", sa.String(20), nullable=False, server_default="host"))
    op.create_index("audit_by_target", "audit", ["target", "at"])
    op.add_column("policy_history", sa.Column("confirm_by", sa.Double))
    _find_old_messages()


def _find_old_messages() -> None:
    """Write the words of the messages that are there; later ones bring theirs with their rows."""
    connection = op.get_bind()
    words = sa.table("message_words", sa.column("word"), sa.column("at"), sa.column("id"))
    last = ""
    while True:
        query = sa.select(_messages).where(_messages.c.id > last).order_by(_messages.c.id).limit(_ROWS_AT_ONCE)
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        found = [
            {"word": word, "at": time_of(row.id, row.first_seen), "id": row.id}
            for row in rows
            for word in words_of_row(row.sender, row.recipients, row.client, row.subject)
        ]
        if found:
            connection.execute(sa.insert(words), found)
