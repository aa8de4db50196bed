"""What we sign holds with OpenDKIM and with Rspamd, and keys are changed under load without a signature that does not."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.delivery.outgoing.keyring import Keys
from services.delivery.outgoing.signer import Signer
from shared.dkim_keys import DkimKey, KeyAlgorithm, KeyBook, KeyState
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer
from tests.integration.delivery.signing_load import Load, envelope, zone
from tests.integration.delivery.verifiers import opendkim, scan, verifying_rspamd
from tests.unit.services.delivery.outgoing.keys import key_of, record

KEYS = (key_of("gp2026a-rsa", KeyAlgorithm.RSA), key_of("gp2026a-ed"))
RECORDS = {key.name: record(key) for key in KEYS}
HEADER = (
    b"Received: from a.example\r\n\tby b.example; Mon, 24 Nov 2026 10:00:00 +0000\r\n"
    b"From: Joe <joe@example.org>\r\nTo: Amy <amy@example.net>,\r\n Bob <bob@example.net>\r\n"
    b"Subject: a \t folded\r\n  subject =?utf-8?q?=C3=BC?=\r\nDate: Mon, 24 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)
BODIES = {
    "plain": b"Hello Amy,\r\n\r\nthis is it.\r\n",
    "spaces": b"Hello  Amy, \r\n\r\n\tthis\t is it.\t \r\n \r\n\r\n\r\n",
    "empty": b"",
    "large": b"A line of  text, with \xc3\xbc. \t\r\n" * 50_000,
}


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer(zone(*KEYS)) as server:
        yield server


@pytest.fixture
async def resolver(dns: DnsServer) -> AsyncIterator[CachingResolver]:
    made = CachingResolver([dns.address])
    yield made
    await made.close()


async def signed(resolver: CachingResolver, body: bytes) -> bytes:
    keys = Keys()
    keys.take(KeyBook(1, KEYS))
    return (await Signer(keys, resolver).sign(envelope(), HEADER + body)).message


@pytest.mark.parametrize("body", BODIES)
async def test_opendkim_verifies_both_signatures(tmp_path: Path, resolver: CachingResolver, body: str) -> None:
    message = await signed(resolver, BODIES[body])
    said = await asyncio.to_thread(opendkim, tmp_path, message, RECORDS)
    assert re.search(r"dkim=pass \(2048-bit key\) [^;]*header\.a=rsa-sha256 header\.s=gp2026a-rsa", said), said
    assert re.search(r"dkim=pass [^;]*header\.a=ed25519-sha256 header\.s=gp2026a-ed", said), said
    changed = await asyncio.to_thread(opendkim, tmp_path, message.replace(b"Joe <", b"Eve <"), RECORDS)
    assert "dkim=pass" not in changed


async def test_rspamd_verifies_both_signatures(
    tmp_path_factory: pytest.TempPathFactory, dns: DnsServer, resolver: CachingResolver
) -> None:
    engine = verifying_rspamd(tmp_path_factory.mktemp("rspamd"), dns.address)
    try:
        await asyncio.to_thread(engine.start)
        for body in BODIES.values():
            message = await signed(resolver, body)
            symbols = await asyncio.to_thread(scan, engine, message)
            assert sorted(symbols["R_DKIM_ALLOW"]) == ["example.org:s=gp2026a-ed", "example.org:s=gp2026a-rsa"]
            symbols = await asyncio.to_thread(scan, engine, message.replace(b"Joe <", b"Eve <"))
            assert "R_DKIM_ALLOW" not in symbols
            assert sorted(symbols["R_DKIM_REJECT"]) == ["example.org:s=gp2026a-ed", "example.org:s=gp2026a-rsa"]
    finally:
        await asyncio.to_thread(engine.close)


async def test_keys_are_changed_under_load_and_no_signature_names_one_that_dns_has_not(
    dns: DnsServer, resolver: CachingResolver
) -> None:
    new = (key_of("gp2026b-rsa", KeyAlgorithm.RSA), key_of("gp2026b-ed"))
    keep_until = time.time() + 7 * 86_400
    old_retired = [
        DkimKey(k.domain, k.selector, k.algorithm, k.private_key, KeyState.RETIRED, keep_until) for k in KEYS
    ]
    new_pending = [DkimKey(k.domain, k.selector, k.algorithm, k.private_key, KeyState.PENDING) for k in new]
    keys = Keys()
    load = Load(Signer(keys, resolver), dns)
    load.publish(zone(*KEYS))
    keys.take(KeyBook(1, KEYS))
    old_names, new_names = [key.selector for key in KEYS], [key.selector for key in new]
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(load.run())
        await load.signed_by(*old_names)
        # Made, and not published yet.
        keys.take(KeyBook(2, (*KEYS, *new_pending)))
        await load.signed_by(*old_names)
        # Even if they are switched before they are published (or our resolver has an old answer): the old keys go on.
        keys.take(KeyBook(3, (*old_retired, *new)))
        await load.signed_by(*old_names)
        load.publish(zone(*KEYS, *new))
        for key in new:
            # The time to live of "there is none" is over.
            resolver.forget(key.name, "TXT")
        await load.signed_by(*new_names)
        # The grace is over: the old keys are forgotten, and then their records go.
        keys.take(KeyBook(4, new))
        load.publish(zone(*new))
        await load.signed_by(*new_names)
        load.end()
    assert load.wrong == []
    assert set(load.by_selector) == {*old_names, *new_names}
