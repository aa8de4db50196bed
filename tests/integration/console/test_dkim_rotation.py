"""Keys are rotated by the command's own actions, over the real stream, while mail is signed all the time."""

import asyncio
import re
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from services.console.actions import dkim
from services.console.actions.desk import ActionError, Desk, open_desk
from services.console.actions.dkim_book import Listed
from services.console.identity.rights import on_this_host
from services.console.settings import load_console_settings
from services.console.tables import dkim_keys
from services.delivery.outgoing.keyring import Keyring
from services.delivery.outgoing.signer import Signer
from shared.broker.connect import Link
from shared.dkim_keys import KeyState
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer, Records
from tests.integration.console.command import Gatepost
from tests.integration.delivery.signing_load import Load

DOMAIN = "example.org"


def zone(*keys: Listed) -> Records:
    return {key.name: {"TXT": key.record} for key in keys}


async def end_grace(desk: Desk) -> None:
    async with desk.database.writing() as connection:
        retired = update(dkim_keys).where(dkim_keys.c.state == KeyState.RETIRED.value)
        await connection.execute(retired.values(keep_until=time.time() - 1))


async def test_no_signature_names_a_key_that_dns_has_not_at_that_moment(
    gatepost: Gatepost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DnsServer() as dns:
        text = gatepost.file.read_text()
        gatepost.file.write_text(text.replace("nameservers = []", f'nameservers = ["{dns.address}"]'))
        monkeypatch.setenv("GATEPOST_SETTINGS_FILE", str(gatepost.file))
        link = Link(gatepost.rabbit.settings("delivery"), "test-rotation")
        keyring, resolver = Keyring(link), CachingResolver([dns.address])
        load = Load(Signer(keyring, resolver), dns)
        async with open_desk(load_console_settings(), on_this_host("tests")) as desk:
            old = await dkim.add_keys(desk, DOMAIN)
            load.publish(zone(*old))
            await dkim.switch_keys(desk, DOMAIN)
            link.start()
            try:
                await keyring.wait_read(10)
                await _rotate(desk, load, old)
            finally:
                await link.close()
                await resolver.close()
    assert load.wrong == []


async def _rotate(desk: Desk, load: Load, old: list[Listed]) -> None:
    names = [key.selector for key in old]
    # The first book that was read may be the one from before the switch.
    while not await load.signs_now():
        await asyncio.sleep(0.01)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(load.run())
        await load.signed_by(*names)
        new = await dkim.add_keys(desk, DOMAIN, rotate=True)
        with pytest.raises(ActionError, match=re.escape(f"{new[0].name}: absent")):
            await dkim.switch_keys(desk, DOMAIN)
        load.publish(zone(*old, new[0]))
        with pytest.raises(ActionError, match=re.escape(f"{new[1].name}: absent")):
            await dkim.switch_keys(desk, DOMAIN)
        await load.signed_by(*names)
        # Who waits for the records sees them appear.
        waiting = group.create_task(dkim.switch_keys(desk, DOMAIN, wait_s=20, ask_every_s=0.05))
        await load.signed_by(*names)
        assert not waiting.done()
        load.publish(zone(*old, *new))
        switched = await waiting
        assert {key.selector for key in switched.retired} == set(names)
        await load.signed_by(*(key.selector for key in new))
        assert await dkim.prune_keys(desk) == ([], [key for key in await dkim.list_keys(desk) if key.keep_until])
        await end_grace(desk)
        forgotten, _ = await dkim.prune_keys(desk)
        assert {key.selector for key in forgotten} == set(names)
        load.publish(zone(*new))
        await load.signed_by(*(key.selector for key in new))
        load.end()
