"""What content's checks mean (PURE): for mail to us, global and per domain, and for mail of our own users.

A key of type Action says what a result means. An engine that is down or unsure always defers; that is not a choice.
"""

import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from shared.policy.table import Domain, Table
from shared.verdict import Action

# Deliver without it, and hold the whole message in quarantine.
STRIP = "strip"
AttachmentAction = Action | Literal["strip"]
# `"never"` switches a threshold off.
Threshold = Annotated[float, Field(ge=-100, le=1000)] | Literal["never"]

_NAME_PATTERN = re.compile(r"[^/\\\x00-\x1f]{1,100}\Z")
_TAG = re.compile(r"[ -~]{0,40}\Z")


def _name_pattern(text: str) -> str:
    if not _NAME_PATTERN.match(text):
        raise ValueError(f"{text[:80]!r} is not a pattern of file names, such as *.exe")
    return text.lower()


def _subject_tag(text: str) -> str:
    if not _TAG.match(text):
        raise ValueError("a subject tag is at most 40 printable ASCII characters")
    return text


FileNamePattern = Annotated[str, AfterValidator(_name_pattern)]
SubjectTag = Annotated[str, AfterValidator(_subject_tag)]

BlockableType = Literal["executable", "script", "shortcut", "disk-image", "archive", "office", "html", "pdf"]

# What runs on a double click, or does so after unpacking.
_RUNNABLE = (
    *("*.exe", "*.com", "*.scr", "*.pif", "*.cpl", "*.dll", "*.msi", "*.msp", "*.msix", "*.appx", "*.application"),
    *("*.bat", "*.cmd", "*.ps1", "*.psm1", "*.vbs", "*.vbe", "*.js", "*.jse", "*.wsf", "*.wsh", "*.wsc", "*.hta"),
    *("*.jar", "*.jnlp", "*.lnk", "*.url", "*.scf", "*.reg", "*.inf", "*.msc", "*.chm", "*.xll", "*.library-ms"),
    *("*.search-ms", "*.settingcontent-ms", "*.iso", "*.img", "*.vhd", "*.vhdx", "*.apk", "*.dmg"),
    *("*.appinstaller", "*.msixbundle", "*.appxbundle", "*.mst", "*.xbap", "*.diagcab", "*.rdp", "*.iqy"),
    *("*.oqy", "*.rqy", "*.ppkg", "*.theme", "*.website", "*.udl", "*.wll", "*.ocx", "*.shb", "*.appref-ms", "*.pkg"),
    *("*.mobileconfig", "*.webloc", "*.inetloc", "*.pyw", "*.command", "*.deb", "*.rpm"),
)


class CheckRules(Table):
    """What every check's table has. enabled: false leaves the check out of the verdict."""

    enabled: bool = True


class AntivirusRules(CheckRules):
    """What the antivirus engines' words mean. encrypted, exceeded: what no engine could look into, or not all of it."""

    infected: Action = Action.REFUSE
    encrypted: Action = Action.TAG
    exceeded: Action = Action.QUARANTINE


class AntispamRules(CheckRules):
    """From which score on what is done: the highest threshold that is reached decides. subject_tag: for tagged mail.

    rejected, soft_rejected: the engine insists, whatever the score (a forced action of Rspamd).
    """

    tag_at: Threshold = 6.0
    quarantine_at: Threshold = 10.0
    refuse_at: Threshold = 15.0
    rejected: Action = Action.REFUSE
    soft_rejected: Action = Action.DEFER
    subject_tag: SubjectTag = ""

    @model_validator(mode="after")
    def _in_order(self) -> "AntispamRules":
        found = [(name, getattr(self, name)) for name in ("tag_at", "quarantine_at", "refuse_at")]
        given = [(name, value) for name, value in found if value != "never"]
        for (lower, low), (higher, high) in pairwise(given):
            if low > high:
                raise ValueError(f"{lower} = {low:g} is above {higher} = {high:g}, which would hide it")
        return self


class AttachmentRules(CheckRules):
    """What attachments mean, also those within archives. "strip" delivers without them and holds the whole message.

    blocked: its name fits blocked_names, or its content is of blocked_types. disguised: its name hides what it is (two
    extensions, or content that runs under a harmless name). encrypted: nobody could look into it. macro: an Office
    document with macros; suspicious_macro: they run by themselves and do what documents need not, or hide from whoever
    looks. unreadable: an archive or document that is damaged, or of a kind that cannot be opened here. exceeded: an
    archive beyond the bounds of `inspection`, or a message of which not all parts could be seen.
    """

    blocked_names: list[FileNamePattern] = Field(list(_RUNNABLE), max_length=1000)
    blocked_types: list[BlockableType] = ["executable", "script", "shortcut"]
    blocked: AttachmentAction = Action.REFUSE
    disguised: AttachmentAction = Action.REFUSE
    encrypted: AttachmentAction = Action.TAG
    macro: AttachmentAction = Action.QUARANTINE
    suspicious_macro: AttachmentAction = Action.REFUSE
    unreadable: AttachmentAction = Action.QUARANTINE
    exceeded: AttachmentAction = Action.QUARANTINE


class SpfRules(CheckRules):
    """What an SPF result of MAIL FROM means by itself (DMARC weighs it, too). helo_fail: of the name in HELO."""

    fail: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 7208 §8.4"})
    softfail: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 7208 §8.5"})
    neutral: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 7208 §8.2"})
    none: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 7208 §8.1"})
    permerror: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 7208 §8.7"})
    helo_fail: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 7208 §2.3"})


class DkimRules(CheckRules):
    """What a DKIM result means by itself (RFC 6376 §6.1: a failed signature is as no signature). fail: no signature of
    it holds. none: it has none.
    """

    fail: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 6376 §6.3"})
    none: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 6376 §6.3"})


class DmarcRules(CheckRules):
    """What a DMARC failure means, by what the author's domain asks for. absent: it asks for nothing, having no record.

    permerror: From is missing, unreadable or of several domains: readers differ on who wrote it.
    """

    reject: Action = Field(Action.REFUSE, json_schema_extra={"standard": "RFC 9989 §5.4"})
    quarantine: Action = Field(Action.QUARANTINE, json_schema_extra={"standard": "RFC 9989 §5.4"})
    none: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 9989 §5.4"})
    absent: Action = Action.ACCEPT
    permerror: Action = Field(Action.REFUSE, json_schema_extra={"standard": "RFC 9989 §5.3.1"})


class ArcRules(CheckRules):
    """What ARC means. fail: a broken chain. trusted: what a DMARC failure means where trusted_sealers, all of them,
    vouch that it passed when they got it; it never helps against any other check.
    """

    trusted_sealers: list[Domain] = Field([], max_length=1000)
    trusted: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 8617 §7.2"})
    fail: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 8617 §4.4"})


class IprevRules(CheckRules):
    """What the client's reverse DNS means: fail, its names do not lead back to it; permerror, it has none."""

    fail: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 8601 §2.7.3"})
    permerror: Action = Field(Action.ACCEPT, json_schema_extra={"standard": "RFC 8601 §2.7.3"})


class StructureRules(CheckRules):
    """What the message's form means. exceeded: beyond the bounds of headers, parts and depth. malformed: lines of the
    header that are no fields, or MIME that is broken. ambiguous: readers may see different messages in it. overrun:
    its examination took more time or memory than any message may.
    """

    exceeded: Action = Action.REFUSE
    malformed: Action = Action.TAG
    ambiguous: Action = Action.REFUSE
    overrun: Action = Action.QUARANTINE


# What DNS says of the server that mail comes from, and of its author: asked of mail from outside alone.
INBOUND_ONLY = frozenset({"spf", "dkim", "dmarc", "arc", "iprev"})


class Checks(Table):
    """The rules of each check. An engine that is down or unsure always defers, and so does DNS that fails where DMARC
    or an action asks for it; that is not a choice.
    """

    antivirus: AntivirusRules = AntivirusRules()
    antispam: AntispamRules = AntispamRules()
    attachments: AttachmentRules = AttachmentRules()
    spf: SpfRules = SpfRules()
    dkim: DkimRules = DkimRules()
    dmarc: DmarcRules = DmarcRules()
    arc: ArcRules = ArcRules()
    iprev: IprevRules = IprevRules()
    structure: StructureRules = StructureRules()
