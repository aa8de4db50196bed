"""The record by which a domain asks for reports on TLS (PURE).

Input: the TXT records at `_smtp._tls.<domain>`. Output: `Wanted`. Standards: RFC 8460 §3.
On failure: a record that says nothing which can be used asks for nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.console.reports.mailto import mailbox
from shared.auth.domain import host_name

# Whoever names a hundred mailboxes does not make us send a hundred mails.
MAX_DESTINATIONS = 5
_VERSION = re.compile(r"v=TLSRPTv1[ \t]*(?:;|\Z)")
_FIELD = re.compile(r"[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*=[ \t]*(.*?)[ \t]*\Z")
_URL = re.compile(r"https://[!-~]{1,1000}\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where reports are to go: mailboxes, and URLs that they are to be posted to."""

    mailboxes: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mailboxes or self.urls)


NOTHING = Wanted()


def wanted(records: Iterable[bytes]) -> Wanted:
    """Return what TXT records ask for."""
    texts = [record.decode("latin-1") for record in records]
    found = [text for text in texts if _VERSION.match(text)]
    # RFC 8460 §3: if there is not exactly one record, there are no reports.
    if len(found) != 1:
        return NOTHING
    mailboxes: dict[str, None] = {}
    urls: dict[str, None] = {}
    for uri in _rua(found[0]):
        if len(mailboxes) + len(urls) == MAX_DESTINATIONS:
            break
        if address := mailbox(uri):
            mailboxes[address] = None
        elif url := https_url(uri):
            urls[url] = None
    return Wanted(tuple(mailboxes), tuple(urls))


def https_url(uri: str) -> str | None:
    """Return a URL that a report may be posted to, None for what is none, such as an address in the place of a host."""
    uri = uri.strip(" \t")
    if not _URL.match(uri):
        return None
    try:
        parts = urlsplit(uri)
        name, port = host_name(parts.hostname or ""), parts.port
    except ValueError:
        return None
    # An address, also one of a single number, is no host that DNS has named.
    if name is None or "." not in name or name.rpartition(".")[2].isdigit() or parts.username is not None or port == 0:
        return None
    where = f"{name}:{port}" if port else name
    return f"https://{where}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def _rua(record: str) -> list[str]:
    for piece in record.split(";"):
        field = _FIELD.match(piece)
        # RFC 8460 §3: unknown fields are ignored; the names of fields are case-sensitive.
        if field is not None and field[1] == "rua":
            return field[2].split(",")
    return []
