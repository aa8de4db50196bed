"""What users are told of their own quarantined mail, and what they may release themselves (PURE)."""

from pydantic import Field, model_validator

from shared.policy.content import SenderText
from shared.policy.table import Table
from shared.verdict import CheckName

# What these find is dangerous, or says that the message could not be examined: that is for an administrator.
NEVER_RELEASED = frozenset({CheckName.ANTIVIRUS, CheckName.STRUCTURE, CheckName.BRAKE})
_SHOWN = [CheckName.ANTISPAM, CheckName.SPF, CheckName.DKIM, CheckName.DMARC, CheckName.ARC, CheckName.IPREV]


class QuarantineDigestRules(Table):
    """A mail a day to each recipient of ours for whom something new is held, with links that need no log-in. Off unless
    switched on; a domain's own table is laid over the global one.

    hour: of the day, UTC. sender: From and MAIL FROM; else `quarantine@` and the recorder's host name. shown: mail that
    one of these checks holds is told of. released: of those, what its recipient may release, past the rule that decided
    and no other; never malware, nor what was not examined. Of the others the recipient may ask an administrator.
    """

    enabled: bool = False
    hour: int = Field(6, ge=0, le=23)
    sender: SenderText = ""
    shown: list[CheckName] = Field(_SHOWN, max_length=20)
    released: list[CheckName] = Field([CheckName.ANTISPAM], max_length=20)

    @model_validator(mode="after")
    def _releases_what_it_shows(self) -> "QuarantineDigestRules":
        for check in self.released:
            if check in NEVER_RELEASED:
                raise ValueError(f"released: what {check.value} holds is never for its recipient to release")
            if check not in self.shown:
                raise ValueError(f"released: {check.value} has no effect: it is not among `shown`")
        return self
