"""Addresses and other text from outside in the fields of a DSN (PURE).

Output: text that can neither break a field nor begin one.
Standards: RFC 3461 §4 (xtext), RFC 3464 §2.3.1, RFC 6533 §3 (the address type utf-8).
"""

import re

_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_XCHAR = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
# RFC 6533 §3: what must be written as \x{…} in the ASCII form of an address.
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")


def field_text(text: str) -> str:
    """Return text on one line, without control characters."""
    return " ".join(_NOT_PRINTABLE.sub(" ", text).split())


def decode_xtext(text: str) -> str:
    """Return what ENVID or ORCPT means (RFC 3461 §4, xtext)."""
    return field_text(_XCHAR.sub(lambda match: chr(int(match[1], 16)), text))


def original_address(orcpt: str) -> str:
    """Return the address in ORCPT, decoded; empty if there is none."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() != "utf-8":
        return decode_xtext(address)
    # RFC 6533 §3: addresses of type utf-8 have their own encoding.
    return field_text(_EMBEDDED.sub(_embedded, address))


def original_recipient(orcpt: str, *, in_utf8: bool) -> str:
    """Return ORCPT as the field Original-Recipient has it: `rfc822; a@b`. in_utf8: whether the field may be UTF-8."""
    kind, address = field_text(orcpt.partition(";")[0]), original_address(orcpt)
    return f"{kind}; {utf8_address(address, in_utf8=in_utf8) if kind.lower() == 'utf-8' else address}"


def utf8_address(address: str, *, in_utf8: bool) -> str:
    """Return an address of type utf-8."""
    # RFC 6533 §3: as it is in message/global-delivery-status, in ASCII in message/delivery-status.
    address = field_text(address)
    return address if in_utf8 else _NOT_QCHAR.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", address)


def _embedded(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    return chr(point) if point <= 0x10FFFF else match[0]
