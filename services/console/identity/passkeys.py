"""Passkeys and security keys (I/O: SQL, through the library webauthn).

Owns: what the browser is asked, and whether its answer is right. A challenge is 64 random octets, good once.
Standards: WebAuthn level 3 (§7.1 registration, §7.2 authentication). The attestation is not asked for: which maker's
key a user holds is no matter of ours.
On failure: PasskeyRefused; why stands in the log, the user is told no more than that it was not taken.
"""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, generate_challenge, options_to_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from services.console.identity.links import public_url, relying_party
from services.console.identity.tables import passkeys
from services.console.settings import ConsoleSettings

_log = structlog.get_logger()
MOST_PER_USER = 20
LABEL_LIMIT = 60
_ANSWER_LIMIT = 32_768


class PasskeyRefused(Exception):
    """An answer that proves nothing."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """One key of a user."""

    id: str
    user: str
    label: str
    made_at: float
    used_at: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """What a browser is asked. options: JSON for it. challenge: what must be kept until it answers."""

    options: str
    challenge: str


async def passkeys_of(connection: AsyncConnection, user: str) -> list[Passkey]:
    """Return the keys of a user, the oldest first."""
    rows = await connection.execute(
        select(passkeys).where(passkeys.c.user_name == user).order_by(passkeys.c.made_at, passkeys.c.id)
    )
    return [Passkey(row.id, row.user_name, row.label, row.made_at, row.used_at) for row in rows]


def ask_for_new_key(settings: ConsoleSettings, user: str, known: list[Passkey]) -> Question:
    """Return the question that makes a key for a user. known: the keys they have, none of which is made twice."""
    challenge = generate_challenge()
    secret = settings.web.secret.get_secret_value() if settings.web is not None else ""
    options = generate_registration_options(
        rp_id=relying_party(settings),
        rp_name="Gatepost",
        user_name=user,
        # WebAuthn §14.6.1: the handle tells nothing of the user.
        user_id=hmac.digest(secret.encode(), b"passkey " + user.encode(), hashlib.sha256),
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=_descriptors(known),
    )
    return Question(options_to_json(options), bytes_to_base64url(challenge))


def ask_for_key(settings: ConsoleSettings, known: list[Passkey], *, alone: bool) -> Question:
    """Return the question that a key answers. alone: no password is given with it, so the key must know its owner."""
    challenge = generate_challenge()
    options = generate_authentication_options(
        rp_id=relying_party(settings),
        challenge=challenge,
        allow_credentials=_descriptors(known),
        user_verification=UserVerificationRequirement.REQUIRED if alone else UserVerificationRequirement.PREFERRED,
    )
    return Question(options_to_json(options), bytes_to_base64url(challenge))


async def add_key(
    connection: AsyncConnection,
    settings: ConsoleSettings,
    user: str,
    label: str,
    *,
    answer: str,
    challenge: str,
    now: float,
) -> Passkey:
    """Keep a new key. Raises PasskeyRefused."""
    with _refusing():
        made = verify_registration_response(
            credential=_bounded(answer),
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=relying_party(settings),
            expected_origin=public_url(settings),
        )
    key = Passkey(bytes_to_base64url(made.credential_id), user, label.strip()[:LABEL_LIMIT] or "passkey", now, None)
    if (await connection.scalar(select(func.count()).where(passkeys.c.id == key.id))) or 0:
        raise PasskeyRefused
    row = {
        "id": key.id,
        "user_name": user,
        "label": key.label,
        "public_key": made.credential_public_key,
        "sign_count": made.sign_count,
        "made_at": now,
    }
    await connection.execute(insert(passkeys), [row])
    return key


async def user_of_answer(
    connection: AsyncConnection,
    settings: ConsoleSettings,
    *,
    answer: str,
    challenge: str,
    now: float,
    alone: bool,
    user: str | None = None,
) -> str:
    """Return whose key answered. user: the only one whose keys count, None for all. Raises PasskeyRefused.

    alone: no password is given with it, so the key must have asked its owner for a finger or a PIN.
    """
    with _refusing():
        query = select(passkeys).where(passkeys.c.id == str(json.loads(_bounded(answer))["id"]))
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None or (user is not None and row.user_name != user):
        raise PasskeyRefused
    with _refusing():
        proved = verify_authentication_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=relying_party(settings),
            expected_origin=public_url(settings),
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=alone,
        )
    used = update(passkeys).where(passkeys.c.id == row.id).values(sign_count=proved.new_sign_count, used_at=now)
    await connection.execute(used)
    return str(row.user_name)


async def remove_key(connection: AsyncConnection, user: str, key: str) -> bool:
    """Remove a key of a user. Returns whether there was one."""
    mine = (passkeys.c.id == key, passkeys.c.user_name == user)
    return bool((await connection.execute(delete(passkeys).where(*mine))).rowcount)


def _descriptors(known: list[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(key.id)) for key in known]


def _bounded(answer: str) -> str:
    if len(answer) > _ANSWER_LIMIT:
        raise PasskeyRefused
    return answer


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Whatever a browser sends that the library cannot read is an answer that proves nothing."""
    try:
        yield
    except PasskeyRefused:
        raise
    except Exception as error:
        _log.info("passkey-refused", cause=f"{type(error).__name__}: {error}"[:200])
        raise PasskeyRefused from None
