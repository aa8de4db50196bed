"""What the tables of the policy document are made of (PURE): strict tables, and the kinds of text in them.

On failure: ValueError, which pydantic reports with the key that is wrong.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from shared.address import AddressError, parse_domain, parse_local_part
from shared.errors import SettingsError
from shared.routes import parse_route

IpAddress = IPv4Address | IPv6Address


class PolicyError(SettingsError):
    """A policy document that cannot be used."""


class Table(BaseModel):
    """A table of the document; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _not_mapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    # Clients are seen with their IPv4 address, so such a network would never match, without a word.
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None:
        prefix = max(0, network.prefixlen - 96)
        raise ValueError(f"{network} is IPv4 in IPv6: write {IPv4Network((mapped, prefix), strict=False)}")
    return network


Network = Annotated[IPv4Network | IPv6Network, AfterValidator(_not_mapped)]


def _domain(text: str) -> str:
    try:
        return parse_domain(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


def _route(text: str) -> str:
    parse_route(text)
    return text


_GLOB = re.compile(r"[A-Za-z0-9!#$&'+/=?^_`{|}~.*-]{1,64}\Z")


def _local_part(text: str) -> str:
    """A local part; with `*` in it, a pattern."""
    if "*" in text and not text.startswith('"'):
        if not _GLOB.match(text):
            raise ValueError(f"{text!r} is not a pattern of local parts")
        return text
    try:
        return parse_local_part(text)
    except AddressError as error:
        raise ValueError(str(error)) from None


def no_key_twice(canonical: Callable[[str], str]) -> BeforeValidator:
    """Refuse tables with two keys that are one (`a.test` and `A.TEST`), of which one would be lost without a word.

    canonical: what makes them one; it raises ValueError for what is no key, which is told elsewhere.
    """

    def check(table: object) -> object:
        seen: dict[str, str] = {}
        for key in table if isinstance(table, dict) else ():
            one = key
            with suppress(ValueError):
                one = canonical(key)
            if (other := seen.setdefault(one, key)) != key:
                raise ValueError(f"{other!r} and {key!r} are the same one")
        return table

    return BeforeValidator(check)


Domain = Annotated[str, AfterValidator(_domain)]
RouteText = Annotated[str, AfterValidator(_route)]
LocalPart = Annotated[str, AfterValidator(_local_part)]

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_RATE_FORM = 'write "100/min", /s, /h or /d, or "unlimited"'
_RATE = re.compile(r"([1-9][0-9]{0,14})/(s|min|h|d)\Z")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many per so many seconds."""

    count: int
    per_s: int

    def __str__(self) -> str:
        unit = next(name for name, seconds in _SECONDS.items() if seconds == self.per_s)
        return f"{self.count}/{unit}"


def _rate(value: object) -> object:
    if value is None or isinstance(value, Rate):
        return value
    if not isinstance(value, str):
        raise ValueError(_RATE_FORM)  # noqa: TRY004 - pydantic reports it with the key that is wrong
    if value == "unlimited":
        return None
    matched = _RATE.match(value)
    if matched is None:
        raise ValueError(f"{value[:80]!r} is not a rate: {_RATE_FORM}")
    return Rate(int(matched[1]), _SECONDS[matched[2]])


# A rate as text, `"100/min"`; `"unlimited"` is None.
RateText = Annotated[Rate | None, BeforeValidator(_rate)]
