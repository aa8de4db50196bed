"""The tables of users, and of how they came in (PURE: declarations only).

Times are Unix seconds. No secret stands here that would let its reader in: passwords are Argon2id verifiers, sessions,
tokens and recovery codes are digests of what their holder has. The secret of TOTP must be known to check a code.
"""

from sqlalchemy import Boolean, Column, Double, Index, Integer, LargeBinary, String, Table, Text

from services.console.tables import metadata

# role: rights.Role. domains: JSON list, null for all. argon2: empty until the user has set a password.
users = Table(
    "users",
    metadata,
    Column("name", String(320), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("domains", Text),
    Column("argon2", Text, nullable=False),
    Column("totp_secret", Text),
    # The last time step whose code was taken, so that none is taken twice.
    Column("totp_step", Integer),
    Column("disabled", Boolean, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
)

# A passkey or security key (WebAuthn). id: the credential's, base64url.
passkeys = Table(
    "passkeys",
    metadata,
    Column("id", String(1400), primary_key=True),
    Column("user_name", String(320), nullable=False),
    Column("label", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("used_at", Double),
    Index("passkeys_by_user", "user_name"),
)

# A browser that is logged in, or half-way there (step: password, then whole). digest: SHA-256 of the cookie's value.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_name", String(320), nullable=False),
    Column("step", String(20), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("challenge", String(200)),
    Column("address", String(64), nullable=False),
    Column("agent", Text, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Index("sessions_by_user", "user_name"),
    Index("sessions_by_end", "ends_at"),
)

# A program's way in. id: shown in lists; digest: SHA-256 of the token. role, domains: never more than its user has.
tokens = Table(
    "tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("user_name", String(320), nullable=False),
    Column("label", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("domains", Text),
    Column("made_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("used_at", Double),
    Column("used_from", String(64)),
    Index("tokens_by_user", "user_name"),
)

# A link that is good once: the first administrator's, an invitation, a new password. digest: SHA-256 of its secret.
invitations = Table(
    "invitations",
    metadata,
    Column("digest", String(64), primary_key=True),
    # Empty for the first administrator, who chooses a name.
    Column("user_name", String(320), nullable=False),
    Column("role", String(20), nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
)

# Log-ins that failed lately, by name and by address: what the throttle counts.
failed_logins = Table(
    "failed_logins",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("subject", String(320), nullable=False),
    Column("at", Double, nullable=False),
    Index("failed_logins_by_subject", "subject", "at"),
)

# A code that opens the console once in place of app and keys. digest: keyed by the console's secret.
recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_name", String(320), nullable=False),
    Column("made_at", Double, nullable=False),
    Index("recovery_codes_by_user", "user_name"),
)

# What was refused to one caller in the present minute: written: rows that the audit has, more: those that are only
# counted so far. stranger: whether nobody was logged in.
refusals = Table(
    "refusals",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("stranger", Boolean, nullable=False),
    Column("action", String(40), nullable=False),
    Column("who", Text, nullable=False),
    Column("address", String(64), nullable=False),
    Column("via", String(20), nullable=False),
    Column("target", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("written", Integer, nullable=False),
    Column("more", Integer, nullable=False),
)
