"""The AUTH command's exchange with the client.

Standards: RFC 4954 §4: initial response, `=` for an empty one, `*` to cancel, enhanced codes.
On failure: each failed login counts; beyond `limits.auth_failures` the session ends.
"""

import base64
from typing import TYPE_CHECKING

from services.edge import metrics
from services.edge.auth.mechanisms import MECHANISMS, Credentials, Exchange, MechanismError, decode_response
from services.edge.auth.verify import VerifierBusy
from services.edge.decide.refusal import RefusalReason, refuse
from services.edge.inbox import AUTH_LINE_LIMIT
from shared.reply import Reply

if TYPE_CHECKING:
    from services.edge.engine import Engine

_FAILED = refuse(RefusalReason.LOGIN_FAILED, 535, "5.7.8", "Authentication credentials invalid")
_TOO_MANY = refuse(RefusalReason.TOO_MANY_AUTH_FAILURES, 421, "4.7.0", "Too many failed logins, closing the session")
_SUCCESS = Reply(235, "2.7.0", "Authentication successful")


async def log_in(connection: "Engine", argument: str) -> None:
    """Carry out `AUTH mechanism [initial-response]`."""
    name, _, initial = argument.partition(" ")
    mechanism = MECHANISMS.get(name.upper())
    if mechanism is None:
        await connection.fail(Reply(504, "5.5.4", "Unrecognized authentication type"))
        return
    try:
        # RFC 4954 §4: a single `=` is an empty initial response.
        first = None if not initial else b"" if initial == "=" else decode_response(initial.encode())
        credentials = await _converse(connection, mechanism(first))
        account = await connection.handler.verifier.check(credentials)
    except MechanismError as error:
        await connection.fail(error.reply)
        return
    except VerifierBusy as error:
        metrics.LOGINS.labels("unavailable").inc()
        await connection.push(error.reply)
        return
    if account is None:
        await _refuse(connection, credentials)
        return
    metrics.LOGINS.labels("success").inc()
    connection.state.account = account
    await connection.push(_SUCCESS)


async def _converse(connection: "Engine", exchange: Exchange) -> Credentials:
    try:
        challenge = next(exchange)
        while True:
            await connection.push(b"334 " + base64.b64encode(challenge))
            line = await connection.read_line(connection.limits.command_timeout_s, AUTH_LINE_LIMIT)
            challenge = exchange.send(decode_response(line))
    except StopIteration as done:
        credentials: Credentials = done.value
        return credentials


async def _refuse(connection: "Engine", credentials: Credentials) -> None:
    metrics.LOGINS.labels("failure").inc()
    state = connection.state
    state.auth_failures += 1
    reply = connection.handler.refuse(state, "AUTH", _FAILED, login=credentials.login)
    await connection.refused(reply)
    if state.auth_failures >= connection.limits.auth_failures:
        connection.end_with(connection.handler.refuse_session(state, _TOO_MANY))
