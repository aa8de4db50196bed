"""What XCLIENT says about a client (PURE).

Input: the command's argument, `NAME=VALUE …`. Output: `Introduction`, and the session that begins anew with it.
Standards: Postfix's XCLIENT extension (XCLIENT_README); RFC 3461 §4 (xtext).
On failure: XClientError, whose text tells the client what is wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from services.edge.parameters import decode_xtext
from services.edge.proxied import proxied
from services.edge.session import Session
from shared.address import parse_domain

# As EHLO offers them. LOGIN is not among them: a login is proved, not claimed.
ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "DESTADDR", "DESTPORT")
_UNAVAILABLE = "[UNAVAILABLE]"
_TEMPORARILY = "[TEMPUNAVAIL]"

T = TypeVar("T")


class XClientError(ValueError):
    """An argument that cannot be taken."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who the client is. None: not said. name, helo: empty where it has none."""

    address: str | None = None
    port: int | None = None
    name: str | None = None
    helo: str | None = None
    extended_smtp: bool | None = None


def parse(argument: str) -> Introduction:
    """Return what the argument says. Raises XClientError."""
    given = _split(argument)
    if given.pop("LOGIN", None) is not None:
        raise XClientError("LOGIN is not taken: a login is proved, not claimed")
    # Where the client connected to is not asked here; it must be well-formed all the same.
    _read(given, "DESTADDR", _address)
    _read(given, "DESTPORT", _port)
    return Introduction(
        _read(given, "ADDR", _address),
        _read(given, "PORT", _port, nothing=0),
        _read(given, "NAME", _name, nothing=""),
        _read(given, "HELO", _domain_or_literal, nothing=""),
        _read(given, "PROTO", _is_extended),
    )


def begin_anew(session: Session, client: Introduction) -> Session:
    """Return the session of the client that was introduced. What was known of another client is forgotten.

    The connection keeps its TLS, its limits and its counts; a certificate was the one's who said XCLIENT.
    """
    address = client.address or session.address
    return Session(
        session.listener,
        session.rules,
        address,
        session.port if client.port is None else client.port,
        host_name=client.helo or "",
        extended_smtp=bool(client.extended_smtp),
        limits=session.limits,
        name=session.name if client.name is None and address == session.address else client.name,
        tls=session.tls,
        errors=session.errors,
        unknown_commands=session.unknown_commands,
        auth_failures=session.auth_failures,
        commands=session.commands,
        messages=session.messages,
        refused_recipients=session.refused_recipients,
    )


def _split(argument: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in argument.split():
        name, equals, value = part.partition("=")
        name = name.upper()
        if not equals or name in given or name not in (*ATTRIBUTES, "LOGIN"):
            raise XClientError(f"{part[:40]} is not an attribute, or is one twice")
        given[name] = _decoded(value)
    if not given:
        raise XClientError("no attribute")
    if given.get("LOGIN", "").upper() in (_UNAVAILABLE, _TEMPORARILY):
        # Nobody is logged in: that is no claim.
        del given["LOGIN"]
    return given


def _decoded(value: str) -> str:
    try:
        text = decode_xtext(value)
    except ValueError as error:
        raise XClientError(str(error)) from None
    if not text or not text.isascii() or not text.isprintable():
        raise XClientError("a value is empty or not printable ASCII")
    return text


def _read(given: Mapping[str, str], name: str, read: Callable[[str], T], nothing: T | None = None) -> T | None:
    value = given.get(name)
    if value is None or value.upper() == _TEMPORARILY:
        return None
    if value.upper() == _UNAVAILABLE:
        return nothing
    try:
        return read(value)
    except ValueError:
        raise XClientError(f"{name} has a value that is not allowed") from None


def _address(value: str) -> str:
    # XCLIENT_README: IPv6 has its tag, as in RFC 5321 §4.1.3, IPv4 has none.
    if value[:5].upper() == "IPV6:" and "%" not in value:
        return proxied(IPv6Address(value[5:]), 1).address
    return proxied(IPv4Address(value), 1).address


def _port(value: str) -> int:
    if not value.isdigit() or value.startswith("0") or int(value) > 65_535:
        raise ValueError(value)
    return int(value)


def _domain_or_literal(value: str) -> str:
    parse_domain(value)
    return value


def _name(value: str) -> str:
    if value.startswith("["):
        raise ValueError(value)
    return parse_domain(value)


def _is_extended(value: str) -> bool:
    if value.upper() not in ("SMTP", "ESMTP"):
        raise ValueError(value)
    return value.upper() == "ESMTP"
