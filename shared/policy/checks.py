"""What content's checks mean (PURE), global and per domain."""

from shared.policy.table import Table
from shared.verdict import Action


class CheckRules(Table):
    """What every check's table has. enabled: false leaves the check out of the verdict."""

    enabled: bool = True


class AntivirusRules(CheckRules):
    """What an antivirus result means."""

    infected: Action = Action.REFUSE


class SpfRules(CheckRules):
    """What an SPF result means by itself (DMARC weighs it, too)."""

    fail: Action = Action.ACCEPT
    softfail: Action = Action.ACCEPT
    permerror: Action = Action.ACCEPT


class DkimRules(CheckRules):
    """What a DKIM result means by itself (RFC 6376 §6.1: a failed signature is as no signature)."""

    fail: Action = Action.ACCEPT


class DmarcRules(CheckRules):
    """What a DMARC failure means, by what the author's domain asks for."""

    reject: Action = Action.REFUSE
    quarantine: Action = Action.QUARANTINE
    none: Action = Action.ACCEPT
    # From missing, unreadable or of several domains: readers differ on who wrote it, and DMARC cannot be asked.
    permerror: Action = Action.REFUSE


class StructureRules(CheckRules):
    """What a header means that is beyond the bounds (exceeded) or has lines that are no fields (malformed)."""

    exceeded: Action = Action.REFUSE
    malformed: Action = Action.TAG


class Checks(Table):
    """The rules of each check. An engine that is down or unsure always defers; that is not a choice."""

    antivirus: AntivirusRules = AntivirusRules()
    spf: SpfRules = SpfRules()
    dkim: DkimRules = DkimRules()
    dmarc: DmarcRules = DmarcRules()
    structure: StructureRules = StructureRules()
