"""The addresses that records name for reports (PURE). Standards: RFC 6068 (mailto)."""

import re
from urllib.parse import unquote

from shared.address import AddressError, parse_address
from shared.auth.domain import host_name

# RFC 7489 §6.2 had a limit of size behind the address; RFC 9989 has none, but records do.
_SIZE = re.compile(r"![0-9]+[kmgt]?\Z", re.IGNORECASE)


def mailbox(uri: str) -> str | None:
    """Return the address of a mailto URI, None where it is something else (RFC 6068)."""
    scheme, _, rest = uri.strip().partition(":")
    if scheme.lower() != "mailto":
        return None
    text = unquote(_SIZE.sub("", rest.partition("?")[0]))
    local, _, host = text.rpartition("@")
    name = host_name(host)
    if name is None:
        return None
    try:
        return str(parse_address(f"{local}@{name}"))
    except AddressError:
        return None
