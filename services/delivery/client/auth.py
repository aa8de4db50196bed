"""The login at a hop: AUTH (I/O through the caller's `ask`).

Owns: which mechanism is used, and the exchange of challenges and responses.
Standards: RFC 4954 (AUTH), RFC 4422 (SASL).
On failure: AuthFailed, always temporary for the mail: the login is between the administrators of the two servers, so
that a message has no part in it and waits. What `ask` raises passes through.
"""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from services.delivery.client.replies import HopReply
from services.delivery.client.sasl.login import Login, SaslError
from services.delivery.client.sasl.mechanisms import login_for
from services.delivery.client.wire import WireLost
from services.delivery.secrets import SecretMissing, Secrets
from shared.policy.destination import OutboundAuth, OutboundMechanism
from shared.reply import Reply

Ask = Callable[[bytes], Awaitable[HopReply]]
_Said = TypeVar("_Said")

# Kerberos needs the most: a token each way, our empty answer to the last, the layers.
_ROUNDS = 10
# RFC 4954 §4: what a base64 string may be at most.
_CHALLENGE_LIMIT = 12_288
# RFC 5321 §4.5.3.1.4: a command line with its CRLF.
_LINE_LIMIT = 512
_SLOW_STEP_S = 20.0
# A shorter response hides nothing, and stands in other words by chance.
_SECRET_LENGTH = 8
# A KDC that is silent holds its threads; there are no more than these, and who finds none free waits in vain, not long.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="sasl")


class AuthFailed(Exception):
    """We are not logged in. reply: what the hop said, if that is why."""

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


async def authenticate(
    ask: Ask, mechanisms_offered: frozenset[str], auth: OutboundAuth, secrets: Secrets, *, host: str, tls: bool
) -> None:
    """Log in by the first of `auth.mechanisms` that the hop offers. Raises AuthFailed.

    ask: sends a line, which has its CRLF, and returns the reply. mechanisms_offered: of EHLO's AUTH, in upper case.
    host: the hop's name, for Kerberos. tls: whether nobody else can hear or change what is said.
    """
    if not tls:
        # RFC 4954 §9, and the policy's word: deliberately also for mechanisms that hide the secret.
        raise AuthFailed("the host offers no TLS, and there is no login without")
    mechanism = next((name for name in auth.mechanisms if name in mechanisms_offered), None)
    if mechanism is None:
        offered = ", ".join(sorted(mechanisms_offered)) or "none"
        raise AuthFailed(f"the host offers none of {', '.join(auth.mechanisms)} (it offers: {offered[:200]})")
    try:
        login = login_for(mechanism, auth, secrets, host)
    except (SecretMissing, SaslError) as error:
        raise AuthFailed(f"{auth.login} by {mechanism}: {error}") from None
    await _converse(ask, mechanism, login, auth.login)


async def _converse(ask: Ask, mechanism: OutboundMechanism, login: Login, name: str) -> None:
    what = f"{name} by {mechanism}"
    try:
        initial = await _run(login, login.begin)
    except SaslError as error:
        raise AuthFailed(f"{what}: {error}") from None
    line = f"AUTH {mechanism}".encode()
    if initial is not None:
        # RFC 4954 §4: an initial response of no octets is "=".
        with_initial = line + b" " + (base64.b64encode(initial) or b"=") + b"\r\n"
        # RFC 4954 §4: one that makes the line too long is not sent with it, but upon the hop's empty challenge.
        if len(with_initial) <= _LINE_LIMIT:
            line, initial = with_initial.removesuffix(b"\r\n"), None
    sent = line.split()[2:]
    answer = await ask(line + b"\r\n")
    for _ in range(_ROUNDS):
        if answer.code != 334:
            break
        try:
            challenge = _challenge(answer)
            if initial is not None:
                if challenge:
                    raise SaslError("the host gave a challenge before our first word")
                response, initial = initial, None
            else:
                response = await _run(login, partial(login.respond, challenge))
        except SaslError as error:
            # RFC 4954 §4: "*" cancels, and is answered with 501.
            with contextlib.suppress(WireLost):  # a host that goes at that does not change why
                await ask(b"*\r\n")
            raise AuthFailed(f"{what}: {error}") from None
        sent.append(base64.b64encode(response))
        answer = await ask(sent[-1] + b"\r\n")
    if answer.code != 235:
        complaint = f" ({login.complaint})" if login.complaint else ""
        reply = _without(sent, answer).as_reply()
        raise AuthFailed(f"{what}: the host answered {reply}{complaint}", reply)
    if initial is not None or not login.trusts:
        # RFC 5802 §3, RFC 4752 §3.1: the hop has to prove itself, too; one that only says yes is not the right one.
        raise AuthFailed(f"{what}: the host let us in without proof that it is the right one")


def _without(sent: Sequence[bytes], answer: HopReply) -> HopReply:
    """Return an answer without what we have said: a host that repeats it would put our secret into logs and traces."""
    lines = list(answer.lines)
    for secret in (one for one in sent if len(one) >= _SECRET_LENGTH):
        lines = [line.replace(secret, b"(our response)") for line in lines]
    return HopReply(answer.code, tuple(lines))


async def _run(login: Login, step: Callable[[], _Said]) -> _Said:
    if not login.is_slow:
        return step()
    try:
        async with asyncio.timeout(_SLOW_STEP_S):
            return await asyncio.get_running_loop().run_in_executor(_threads, step)
    except TimeoutError:
        raise SaslError(f"no answer within {_SLOW_STEP_S:g} s from what the login needs (is a KDC down?)") from None


def _challenge(answer: HopReply) -> bytes:
    text = answer.lines[0].strip()
    if len(answer.lines) > 1 or len(text) > _CHALLENGE_LIMIT:
        raise SaslError("the host's challenge is malformed or too long")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError("the host's challenge is not base64") from None
