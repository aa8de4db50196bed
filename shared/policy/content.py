"""Bounds of content's examination, the brake on outbound spam, and reports to domain owners (PURE)."""

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.address import AddressError, parse_address
from shared.policy.table import Rate, RateText, Table
from shared.verdict import Action


def _sender(text: str) -> str:
    try:
        return str(parse_address(text, smtputf8=False)) if text else ""
    except AddressError as error:
        raise ValueError(str(error)) from None


def _plain(text: str) -> str:
    # Neither XML nor JSON, of which reports are, likes any other.
    if not text.isprintable():
        raise ValueError("a line of text, without control characters")
    return text


# An address, or nothing.
SenderText = Annotated[str, AfterValidator(_sender)]
PlainText = Annotated[str, AfterValidator(_plain)]


class InspectionRules(Table):
    """How far archives are opened, all of a message's together; what is beyond is `exceeded` of attachments.
    archive_depth: archives within archives. archive_ratio: unpacked size to packed, of one file of over 1 MB.
    """

    archive_depth: int = Field(5, ge=0, le=20)
    archive_files: int = Field(1000, ge=1, le=100_000)
    archive_ratio: int = Field(200, ge=2, le=100_000)
    unpacked_bytes: int = Field(100_000_000, ge=1_000_000, le=1_000_000_000)


class BrakeRules(Table):
    """A brake on accounts whose mail antispam or antivirus tag, quarantine or refuse: beyond the rate `spam` of it, all
    their mail is `braked` for `hold_s`.
    """

    enabled: bool = True
    spam: RateText = Rate(10, 3600)
    braked: Action = Action.DEFER
    hold_s: int = Field(3600, ge=60, le=604_800)


class DmarcReportRules(Table):
    """Aggregate reports to the domains whose DMARC records ask for them. Off unless switched on.

    sender: From and MAIL FROM of the reports; else `dmarc-reports@` and the recorder's host name. organization,
    contact: who we are, as the report says it; else the host name, and the sender.
    """

    enabled: bool = Field(False, json_schema_extra={"standard": "RFC 9990"})
    sender: SenderText = ""
    organization: PlainText = Field("", max_length=200)
    contact: PlainText = Field("", max_length=320)
