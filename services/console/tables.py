"""The tables of the console's database (PURE: declarations only; migrations/ makes them).

Times are Unix seconds. JSON stands in text columns: it is shown and carried, never searched, and SQLite and PostgreSQL
then hold the same bytes.
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

# One row per fact (shared.event.Event). uid makes a second arrival harmless.
events = Table(
    "events",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("id", String(40), nullable=False),
    Column("at", Double, nullable=False),
    Column("stage", String(20), nullable=False),
    Column("host", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("facts", Text, nullable=False),
    Index("events_by_id", "id", "at"),
)

# One row per id, folded from its events: what lists and counts need. state_at: when the state was reached.
messages = Table(
    "messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("listener", Text),
    Column("client", Text),
    Column("sender", Text),
    Column("recipients", Text),
    Column("subject", Text),
    Column("size_bytes", Integer),
    Column("verdict", String(20)),
    Column("state", String(20)),
    Column("state_at", Double),
    Column("parent", String(40)),
    # Of what waits in delivery: for which hop, until when, and why.
    Column("hop", Text),
    Column("not_before", Double),
    Column("waits_for", Text),
    Index("messages_by_time", "last_seen"),
    Index("messages_by_state", "state", "first_seen"),
    Index("messages_by_parent", "parent"),
)

# Mail that nobody delivers for now. part: tells apart the copies of one id (other recipients, another reason).
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("part", String(16), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("check", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("sender", Text),
    Column("recipients", Text),
    Column("subject", Text),
    Column("message_type", Text),
    Column("envelope", Text),
    Column("headers", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("stored_at", Double, nullable=False),
    Column("state", String(20), nullable=False),
    Column("state_at", Double, nullable=False),
    Index("quarantine_by_state", "state", "received_at"),
)

# What came to the recorder and was not in the form of an event batch, or that the tables above would not take.
unreadable = Table(
    "unreadable",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("queue", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("stored_at", Double, nullable=False),
)

# What content saw of DMARC, until it is reported (shared.dmarc_seen). day: days since 1970, UTC. domain: of the record.
dmarc_seen = Table(
    "dmarc_seen",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("day", Integer, nullable=False),
    Column("domain", String(255), nullable=False),
    Column("facts", Text, nullable=False),
    Index("dmarc_seen_by_day", "day", "domain"),
)

# Which reports were sent. sent_to: empty where nobody wanted it, or may have it.
dmarc_reports = Table(
    "dmarc_reports",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("domain", String(255), primary_key=True),
    Column("sent_to", Text, nullable=False),
    Column("at", Double, nullable=False),
)

# What delivery last said of each hop (shared.hop_state), one row per process that speaks to it.
hops = Table(
    "hops",
    metadata,
    Column("hop", String(320), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("cause", Text, nullable=False),
    Column("until", Double),
    Column("at", Double, nullable=False),
)

# What delivery saw of TLS, until it is reported (shared.tls_seen). day: days since 1970, UTC. domain: that asks for it.
tls_seen = Table(
    "tls_seen",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("day", Integer, nullable=False),
    Column("domain", String(255), nullable=False),
    Column("facts", Text, nullable=False),
    Index("tls_seen_by_day", "day", "domain"),
)

# Which reports on TLS were sent. sent_to: empty where nobody wanted it.
tls_reports = Table(
    "tls_reports",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("domain", String(255), primary_key=True),
    Column("sent_to", Text, nullable=False),
    Column("at", Double, nullable=False),
)

# Keys of DKIM. state: shared.dkim_keys.KeyState. record: of DNS, as it is to be published.
dkim_keys = Table(
    "dkim_keys",
    metadata,
    Column("domain", String(255), primary_key=True),
    Column("selector", String(63), primary_key=True),
    Column("algorithm", String(20), nullable=False),
    Column("private_key", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("made_at", Double, nullable=False),
    # When it was last changed: signs since, or retired since.
    Column("state_at", Double, nullable=False),
    # Until when the record of a retired key must stay in DNS.
    Column("keep_until", Double),
)

# Versions of the whole key book that went to the stream.
key_books = Table(
    "key_books",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("at", Double, nullable=False),
)

# What administrators ordered of waiting mail and of hops (shared.order).
orders = Table(
    "orders",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("target", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("orders_by_time", "at"),
)

policy_history = Table(
    "policy_history",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("text", Text, nullable=False),
    # When every stage goes back by itself, unless a later version confirms this one.
    Column("confirm_by", Double),
)

accounts = Table(
    "accounts",
    metadata,
    Column("login", String(320), primary_key=True),
    # Empty where the password is known elsewhere.
    Column("argon2", Text, nullable=False),
    Column("senders", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("scram", Text),
    Column("cram_md5", Text),
)

# Versions of the whole account book that went to the stream.
account_books = Table(
    "account_books",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("at", Double, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", String(40), nullable=False),
    Column("target", Text, nullable=False),
    Column("details", Text, nullable=False),
    # Where from: an address, empty on the console's own host; and by browser, token or host.
    Column("address", String(64), nullable=False, server_default=""),
    Column("via", String(20), nullable=False, server_default="host"),
    Index("audit_by_time", "at"),
    Index("audit_by_target", "target", "at"),
)

# Words that messages are found by (words.py says which): `a:` an address, `d:` a domain, `i:` a client's address …
# One row per word and message; at: the time in the message's id, so that an index gives the newest first.
message_words = Table(
    "message_words",
    metadata,
    Column("word", String(120), primary_key=True),
    Column("at", Double, primary_key=True),
    Column("id", String(40), primary_key=True),
    Index("message_words_by_time", "at"),
    # Its primary key is the table: two trees to write instead of three.
    sqlite_with_rowid=False,
)

# Reports of quarantine that went to users. A user gets none twice about the same mail.
digests = Table(
    "digests",
    metadata,
    Column("recipient", String(320), primary_key=True),
    Column("until", Double, nullable=False),
    Column("sent_at", Double, nullable=False),
)
