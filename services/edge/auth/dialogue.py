"""The AUTH command's exchange with the client.

Standards: RFC 4954 §4: initial response, `=` for an empty one, `*` to cancel, enhanced codes.
On failure: each failed login counts; beyond `limits.auth_failures` the session ends.
"""

import base64
from typing import TYPE_CHECKING

import structlog

from services.edge import metrics
from services.edge.auth.authenticator import Authenticator, Begun, login_of
from services.edge.auth.exchange import Claim, MechanismError, Proof, decode_initial, decode_response, malformed
from services.edge.decide.refusal import RefusalReason, refuse
from services.edge.inbox import AUTH_LINE_LIMIT
from shared.errors import TemporaryError
from shared.reply import Reply

if TYPE_CHECKING:
    from services.edge.engine import Engine

_log = structlog.get_logger()
# RFC 4954 §4: what a mechanism needs must fit; tickets that name many groups are long.
_TICKET_LINE_LIMIT = 60_000
_FAILED = refuse(RefusalReason.LOGIN_FAILED, 535, "5.7.8", "Authentication credentials invalid")
_TOO_MANY = refuse(RefusalReason.TOO_MANY_AUTH_FAILURES, 421, "4.7.0", "Too many failed logins, closing the session")
_SUCCESS = Reply(235, "2.7.0", "Authentication successful")
_UNKNOWN = Reply(504, "5.5.4", "Unrecognized authentication type")


async def log_in(connection: "Engine", argument: str) -> None:
    """Carry out `AUTH mechanism [initial-response]`."""
    mechanism, _, initial = argument.partition(" ")
    # RFC 4422 §3.1: names are in upper case; deliberately taken in any, as clients send them.
    mechanism = mechanism.upper()
    authenticator: Authenticator = connection.handler.authenticator
    bindings = connection.channel_bindings()
    names = authenticator.offered(connection.state.rules, bindings)
    if mechanism not in names:
        await connection.fail(_UNKNOWN)
        return
    try:
        begun = authenticator.begin(mechanism, decode_initial(initial), names, bindings)
        claim = await _converse(connection, authenticator, begun)
        account = await authenticator.judge(claim, connection.state.address)
        if account is not None and isinstance(claim, Proof) and claim.last is not None:
            # RFC 4954 §4: what the server has still to say is one more challenge, answered with nothing.
            nothing = await _ask(connection, claim.last, AUTH_LINE_LIMIT)
            if nothing:
                malformed("Nothing was expected here")
    except MechanismError as error:
        await connection.fail(error.reply)
        return
    except TemporaryError as error:
        metrics.LOGINS.labels("unavailable").inc()
        _log.info("login-unavailable", client=connection.state.address, cause=error.reason)
        await connection.push(error.reply)
        return
    if account is None:
        await _refuse(connection, login_of(claim))
        return
    metrics.LOGINS.labels("success").inc()
    connection.state.account = account
    await connection.push(_SUCCESS)


async def _converse(connection: "Engine", authenticator: Authenticator, begun: Begun) -> Claim:
    limit = _TICKET_LINE_LIMIT if begun.slow else AUTH_LINE_LIMIT
    step = await authenticator.advance(begun, None)
    while isinstance(step, bytes):
        step = await authenticator.advance(begun, await _ask(connection, step, limit))
    return step


async def _ask(connection: "Engine", challenge: bytes, limit: int) -> bytes:
    await connection.push(b"334 " + base64.b64encode(challenge))
    return decode_response(await connection.read_line(connection.limits.command_timeout_s, limit))


async def _refuse(connection: "Engine", login: str) -> None:
    metrics.LOGINS.labels("failure").inc()
    state = connection.state
    state.auth_failures += 1
    reply = connection.handler.refuse(state, "AUTH", _FAILED, login=login)
    await connection.refused(reply)
    if state.auth_failures >= connection.limits.auth_failures:
        connection.end_with(connection.handler.refuse_session(state, _TOO_MANY))
