"""DKIM keys: made, switched, retired, forgotten (I/O: SQL, broker, DNS).

Owns: the life of a key. It is made (pending), its record is published by hand, it signs (active) once DNS was seen to
have the records of all that are to sign with it, and is kept (retired) until no signature of its is on its way.
On failure: ActionError; nothing is changed then.
"""

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy import delete, insert, update

from services.console.actions.desk import ActionError, Desk, NotUnderstood
from services.console.actions.dkim_book import Listed, listed, publish_book, retire_active
from services.console.actions.key_records import DNS_PORT, is_published, look_up
from services.console.actions.new_keys import PREFIX, SUFFIXES, make_pair, next_prefix, pem
from services.console.answers.dkim import Looked, Switched, told_look
from services.console.tables import dkim_keys
from shared.address import AddressError, parse_domain
from shared.dkim_keys import SIGNATURE_LIFE_S, KeyState, record_of
from shared.dns.open import open_resolver

__all__ = [
    "GRACE_S",
    "Looked",
    "Switched",
    "add_keys",
    "list_keys",
    "look_at_keys",
    "prune_keys",
    "retire_keys",
    "switch_keys",
    "told_look",
]

GRACE_S = float(SIGNATURE_LIFE_S)


async def list_keys(desk: Desk, domain: str = "") -> list[Listed]:
    """Return the keys of a domain, or all. Raises ActionError for what is no domain."""
    name = _theirs(desk, domain) if domain else ""
    async with desk.database.reading() as connection:
        return [key for key in await listed(connection, name) if desk.caller.covers(key.domain)]


async def add_keys(desk: Desk, domain: str, selector: str = "", *, rotate: bool = False) -> list[Listed]:
    """Make a pair of keys, which does not sign yet. Raises ActionError.

    selector: what both selectors begin with; else the next one. rotate: for a domain that signs already.
    """
    domain = _theirs(desk, domain)
    if selector and not PREFIX.match(selector):
        raise NotUnderstood(f"--selector {selector}: 1 to 52 of a-z, 0-9 and hyphens, none at either end")
    made = await asyncio.to_thread(make_pair)
    now = time.time()
    async with desk.database.writing() as connection:
        known = await listed(connection, domain)
        _check_addable(domain, known, rotate=rotate)
        prefix = selector or next_prefix([key.selector for key in known], now)
        rows = [
            {
                "domain": domain,
                "selector": f"{prefix}-{SUFFIXES[algorithm]}",
                "algorithm": algorithm.value,
                "private_key": pem(private),
                "record": record_of(private),
                "state": KeyState.PENDING.value,
                "made_at": now,
                "state_at": now,
                "keep_until": None,
            }
            for algorithm, private in made
        ]
        taken = {key.selector for key in known} & {str(row["selector"]) for row in rows}
        if taken:
            # A name that had another key is remembered by resolvers everywhere.
            raise ActionError(f"{domain} has keys with the selector {min(taken)} already; choose another")
        await connection.execute(insert(dkim_keys), rows)
        await desk.note(connection, "dkim add", domain, selectors=[row["selector"] for row in rows])
        await publish_book(desk, connection)
        return [key for key in await listed(connection, domain) if key.state is KeyState.PENDING]


async def look_at_keys(desk: Desk, domain: str, *, port: int = DNS_PORT) -> list[Looked]:
    """Return what DNS says now of all keys of a domain. Raises ActionError if it has none."""
    keys = await list_keys(desk, domain)
    if not keys:
        raise ActionError(f"{domain} has no DKIM keys; make them: gatepost dkim add {domain}")
    return await _looked(desk, keys, port)


async def switch_keys(
    desk: Desk,
    domain: str,
    *,
    grace_s: float = GRACE_S,
    wait_s: float = 0.0,
    ask_every_s: float = 15.0,
    port: int = DNS_PORT,
) -> Switched:
    """Let the pending keys of a domain sign, if DNS has the records of all of them. Raises ActionError.

    grace_s: for how long those that signed until now are kept. wait_s: for how long to wait for DNS, asking it every
    ask_every_s. port: of the nameservers of the zone.
    """
    domain = _theirs(desk, domain)
    pending = [key for key in await list_keys(desk, domain) if key.state is KeyState.PENDING]
    if not pending:
        raise ActionError(f"{domain} has no keys that wait; make them: gatepost dkim add, or gatepost dkim rotate")
    give_up_at = time.monotonic() + wait_s
    while missing := [one for one in await _looked(desk, pending, port) if not one.published]:
        left_s = give_up_at - time.monotonic()
        if left_s <= 0:
            raise ActionError(f"nothing is switched, for DNS does not have all records: {_told(missing)}")
        await asyncio.sleep(min(ask_every_s, left_s))
    return await _switch(desk, domain, pending, grace_s)


async def retire_keys(desk: Desk, domain: str, *, grace_s: float = GRACE_S, pending_only: bool = False) -> list[Listed]:
    """Let a domain sign no more, and forget its pending keys; return those retired. Raises ActionError.

    pending_only: forget the pending keys alone.
    """
    domain = _theirs(desk, domain)
    now = time.time()
    async with desk.database.writing() as connection:
        known = await listed(connection, domain)
        if not any(
            key.state is KeyState.PENDING or (key.state is KeyState.ACTIVE and not pending_only) for key in known
        ):
            raise ActionError(f"{domain} has no {'pending keys' if pending_only else 'keys that sign or wait'}")
        await connection.execute(
            delete(dkim_keys).where(dkim_keys.c.domain == domain, dkim_keys.c.state == KeyState.PENDING.value)
        )
        if not pending_only:
            await retire_active(connection, domain, now, grace_s)
        await desk.note(connection, "dkim retire", domain, pending_only=pending_only, grace_s=grace_s)
        await publish_book(desk, connection)
        was_active = {key.selector for key in known if key.state is KeyState.ACTIVE}
        return [
            key
            for key in await listed(connection, domain)
            if key.state is KeyState.RETIRED and key.selector in was_active
        ]


async def prune_keys(desk: Desk, domain: str = "") -> tuple[list[Listed], list[Listed]]:
    """Forget retired keys whose grace is over; return them, and those that must be kept longer. Raises ActionError.

    The records of the first may be taken out of DNS after this, and not before.
    """
    domain = _theirs(desk, domain) if domain else ""
    now = time.time()
    async with desk.database.writing() as connection:
        known = [key for key in await listed(connection, domain) if desk.caller.covers(key.domain)]
        retired = [key for key in known if key.state is KeyState.RETIRED]
        over = [key for key in retired if (key.keep_until or 0.0) <= now]
        for key in over:
            await connection.execute(
                delete(dkim_keys).where(dkim_keys.c.domain == key.domain, dkim_keys.c.selector == key.selector)
            )
        if over:
            await desk.note(connection, "dkim prune", domain or "all", names=[key.name for key in over])
            await publish_book(desk, connection)
    return over, [key for key in retired if key not in over]


async def _switch(desk: Desk, domain: str, pending: Sequence[Listed], grace_s: float) -> Switched:
    now = time.time()
    async with desk.database.writing() as connection:
        before = await listed(connection, domain)
        # Exactly what was looked for in DNS: keys that somebody else made or took away meanwhile were not.
        if [key.selector for key in before if key.state is KeyState.PENDING] != [key.selector for key in pending]:
            raise ActionError(f"the keys of {domain} were changed meanwhile; nothing is switched, try again")
        await retire_active(connection, domain, now, grace_s)
        await connection.execute(
            update(dkim_keys)
            .where(dkim_keys.c.domain == domain, dkim_keys.c.state == KeyState.PENDING.value)
            .values(state=KeyState.ACTIVE.value, state_at=now)
        )
        await desk.note(connection, "dkim switch", domain, active=[key.selector for key in pending], grace_s=grace_s)
        await publish_book(desk, connection)
        after = await listed(connection, domain)
    were_active = {key.selector for key in before if key.state is KeyState.ACTIVE}
    return Switched(
        [key for key in after if key.state is KeyState.ACTIVE], [key for key in after if key.selector in were_active]
    )


async def _looked(desk: Desk, keys: Sequence[Listed], port: int) -> list[Looked]:
    # A resolver of its own each time: it remembers nothing.
    resolver = open_resolver(desk.settings.dns)
    try:
        looks = await asyncio.gather(*(look_up(resolver, key.name, key.record, port=port) for key in keys))
    finally:
        await resolver.close()
    return [Looked(key, look) for key, look in zip(keys, looks, strict=True)]


def _told(missing: Sequence[Looked]) -> str:
    return "; ".join(
        f"{one.key.name}: {told_look(look)}"
        for one in missing
        for number, look in enumerate(one.looks)
        if not is_published([look]) and (number == 0 or look.state is not None)
    )


def _check_addable(domain: str, known: Sequence[Listed], *, rotate: bool) -> None:
    if any(key.state is KeyState.PENDING for key in known):
        raise ActionError(
            f"{domain} has keys that wait for their records: gatepost dkim show {domain}. Let them sign with "
            f"gatepost dkim switch {domain}, or forget them with gatepost dkim retire --pending {domain}"
        )
    signs = any(key.state is KeyState.ACTIVE for key in known)
    if rotate and not signs:
        raise ActionError(f"{domain} has no keys that sign; make the first: gatepost dkim add {domain}")
    if signs and not rotate:
        raise ActionError(f"{domain} has keys that sign; make the next with gatepost dkim rotate {domain}")


def _theirs(desk: Desk, domain: str) -> str:
    """Return the one form of a domain that is the caller's. Raises ActionError."""
    name = _checked_domain(domain)
    desk.must_cover(name)
    return name


def _checked_domain(domain: str) -> str:
    try:
        name = parse_domain(domain)
    except AddressError as error:
        raise NotUnderstood(str(error)) from None
    if name.startswith("["):
        raise NotUnderstood(f"{domain} is an address; DKIM keys belong to domains")
    return name
