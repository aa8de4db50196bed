"""Whether a recipient is known to whom the rules of its domain name (I/O through those asked).

Owns: who is asked for a domain; the form in which recipients are asked for and remembered; and how many questions a
client's network may cause, so that nobody searches our servers for recipients.
Standards: RFC 5321 §2.4 (local parts are compared without case here, as servers do, as in lists).
On failure: unsure.
"""

from services.edge.decide.recipient import Known
from services.edge.recipients.asking import Asker, Asking
from services.edge.recipients.ldap import Directory, LdapRecipients
from services.edge.recipients.memory import Kept
from services.edge.session import Session
from shared.address import Address, canonical_local_part
from shared.policy.client import network_of, plain_ip
from shared.policy.domain import DomainRules
from shared.policy.table import Rate
from shared.state.port import Ask, State

_DAY_S = 86_400.0
# Of the route: known recipients serve through a week in which delivery is down, and are asked for again once a day.
VERIFIED = Kept(yes_s=7 * _DAY_S, fresh_s=_DAY_S, no_s=3600.0, unsure_s=30.0)
# The directory is ours and quick: changes show within a quarter of an hour.
DIRECTORY = Kept(yes_s=_DAY_S, fresh_s=900.0, no_s=300.0, unsure_s=10.0)
# What is remembered costs no question.
QUESTION_RATE = Rate(120, 60)
_QUESTIONS_AT_ONCE = 100
# They wait for the few threads of the directory, which answers in milliseconds.
_LOOKUPS_AT_ONCE = 32


class Recipients:
    """All recipients that somebody else knows. directory: None where the settings name none."""

    def __init__(self, verification: Asker, directory: Directory | None, state: State) -> None:
        self._verified = Asking("route", verification, VERIFIED, at_once=_QUESTIONS_AT_ONCE)
        self._listed = Asking("directory", LdapRecipients(directory), DIRECTORY, at_once=_LOOKUPS_AT_ONCE)
        self._state = state

    async def knows(self, session: Session, rules: DomainRules, recipient: Address) -> Known:
        """Return whether a recipient of a domain with these rules is known."""
        asking = self._verified if rules.recipients == "verified" else self._listed
        # One form for all spellings: else one spelling could be asked for and another one remembered.
        name = f"{canonical_local_part(recipient.local_part).lower()}@{recipient.domain}"
        known = asking.recall(name)
        if known is None:
            known = await asking.knows(name) if await self._may_ask(session) else Known.UNSURE
        return known

    def follow_policy(self) -> None:
        """Forget refusals: with a new policy somebody else may be asked."""
        self._verified.forget_refused()
        self._listed.forget_refused()

    async def close(self) -> None:
        """Give up what is under way."""
        await self._verified.close()
        await self._listed.close()

    async def _may_ask(self, session: Session) -> bool:
        if not session.counted:
            return True
        key = f"questions:{network_of(plain_ip(session.address))}"
        return await self._state.take((Ask(key, QUESTION_RATE),)) is None
