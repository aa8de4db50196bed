"""The brake on accounts that send spam or malware (I/O through the shared state).

Owns: counting what an account's mail was judged to be, and holding all of its mail back beyond the policy's rate.
Counted over all content workers where the state stands in Redis.
On failure: while the shared state is away, counting goes on in this process, and an account that is held elsewhere is
not known to be: the other checks still judge each message.
"""

from collections.abc import Iterable

import structlog
from prometheus_client import Counter

from services.content.finding import Finding
from shared.brake import brake_key
from shared.envelope import Direction, Envelope
from shared.policy.content import BrakeRules
from shared.state.port import Ask, State, StateUnavailable
from shared.verdict import Action, CheckName, Verdict

_log = structlog.get_logger()
_braked = Counter("gatepost_content_braked_accounts_total", "Accounts whose mail is held back for sending spam")

_SPAM = (CheckName.ANTISPAM, CheckName.ANTIVIRUS)


class Brake:
    """The brake of one process, over the state that it shares with others."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def finding(self, envelope: Envelope, rules: BrakeRules) -> Finding | None:
        """Return whether the account's mail is held back; None where no brake applies."""
        login = _login(envelope)
        if login is None or not rules.enabled or rules.spam is None:
            return None
        who = f"account {login}"
        try:
            [held] = await self._state.get([brake_key(login)])
        except StateUnavailable:
            held = None
        if held is None:
            return Finding(
                CheckName.BRAKE, "free", f"The account has not sent more spam or malware than {rules.spam}.", input=who
            )
        return Finding(
            CheckName.BRAKE,
            "braked",
            f"The account has sent more spam or malware than {rules.spam}.",
            rule="braked",
            input=who,
            change=f"no spam from the account for {rules.hold_s // 60} minutes, or `gatepost account unbrake {login}`",
        )

    async def count(self, envelope: Envelope, verdicts: Iterable[Verdict], rules: BrakeRules) -> None:
        """Count a message once it is judged. A message that comes again is not counted again."""
        login = _login(envelope)
        if login is None or not rules.enabled or rules.spam is None or envelope.retry.attempts:
            return
        if not any(is_spam(verdict) for verdict in verdicts):
            return
        if await self._state.take([Ask(f"spam:{login}", rules.spam)]) is None:
            return
        _log.warning("account-braked", login=login, id=envelope.id, rate=str(rules.spam), hold_s=rules.hold_s)
        _braked.inc()
        try:
            await self._state.put(brake_key(login), envelope.id, rules.hold_s)
        except StateUnavailable:
            _log.warning("account-brake-not-shared", login=login)


def is_spam(verdict: Verdict) -> bool:
    """Whether a verdict says that the message is spam or malware, rather than not known or exempt."""
    return any(
        reason.check in _SPAM and reason.rule and reason.action in (Action.TAG, Action.QUARANTINE, Action.REFUSE)
        for reason in verdict.reasons
    )


def _login(envelope: Envelope) -> str | None:
    outbound = envelope.direction is Direction.OUTBOUND
    return envelope.client.login.lower() if outbound and envelope.client.login else None
