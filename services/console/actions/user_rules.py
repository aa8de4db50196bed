"""What a user's name, domains and password may be (I/O: threads that hash).

On failure: NotUnderstood, whose text says what is wrong with it.
"""

import re
from collections.abc import Iterable

from services.console.actions.errors import NotUnderstood
from services.console.identity.password_rules import PasswordRefused
from services.console.identity.passwords import verifier_of
from services.console.identity.rights import Role
from shared.address import AddressError, parse_domain

NAME_LIMIT = 200
DOMAINS_LIMIT = 500
# Letters and figures of any script; no spaces, no slash, nothing that looks like a token's "name (label)".
_NAME = re.compile(rf"\w[\w.@+-]{{0,{NAME_LIMIT - 1}}}\Z")
_BOUNDED = frozenset({Role.DOMAIN_MANAGER, Role.VIEWER})


async def verifier_for(password: str, name: str) -> str:
    """Return what is kept of a user's new password. Raises NotUnderstood, which says what is wrong with it."""
    try:
        return await verifier_of(password, name)
    except PasswordRefused as error:
        raise NotUnderstood(str(error)) from None


def checked_name(name: str) -> str:
    """Return a new user's name in the form that is kept. Raises NotUnderstood."""
    name = folded(name)
    if not _NAME.match(name):
        raise NotUnderstood(f"a name has 1 to {NAME_LIMIT} letters, figures, and . @ + - _; usually it is an address")
    return name


def checked_domains(role: Role, domains: Iterable[str] | None) -> list[str] | None:
    """Return the domains that bound a role, None for all. Raises NotUnderstood."""
    named = [domain for domain in domains or () if domain.strip()]
    if role is Role.DOMAIN_MANAGER and not named:
        raise NotUnderstood("a domain manager has at least one domain")
    if named and role not in _BOUNDED:
        raise NotUnderstood(f"the role {role.value} is for the whole gateway: name no domains")
    if len(named) > DOMAINS_LIMIT:
        raise NotUnderstood(f"at most {DOMAINS_LIMIT} domains")
    try:
        return sorted({parse_domain(domain.strip()) for domain in named}) or None
    except AddressError as error:
        raise NotUnderstood(f"that is no domain: {error}") from None


def folded(name: str) -> str:
    """Return a name as it is kept: without a difference of case."""
    return name.strip().lower()
