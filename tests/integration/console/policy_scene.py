"""A console with a real broker, for tests of what is published from its pages."""

import re
import time
from pathlib import Path

import httpx

from services.console.actions.policy_stream import read_stream
from services.console.database import Database
from services.console.identity.rights import Role, on_this_host
from services.console.web.backstage import Backstage
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key
from shared.policy_entry import PolicyEntry, encode_policy, in_force
from tests.integration.console.site import Site
from tests.integration.console.web_settings import settings_for
from tests.rabbit import Rabbit

FIRST = '# ours\n[domains."gatepost.test"]\nroute = "maildir:mail"\nrecipients = ["demo"]\n'
SECOND = FIRST.replace('["demo"]', '["demo", "second"]')
# The address from which tests ask, as tests/integration/console/site.py has it.
ME = "192.0.2.7"
LOCKED = FIRST + '\n[[access]]\naction = "deny"\nnetworks = ["192.0.2.0/24"]\nservices = ["console"]\n'


class PolicyScene:
    """Pages, API, and the stream."""

    def __init__(self, rabbit: Rabbit, database: Database, folder: Path, redis: object = None) -> None:
        self.rabbit = rabbit
        settings = settings_for(database, folder, rabbit.settings("console"))
        if redis is not None:
            settings = settings.model_copy(update={"redis": redis})
        self._link = Link(settings.broker, "test-console-web")
        self.backstage = Backstage(settings, database, Publisher(self._link))
        self._link.start()
        self.site = Site(self.backstage)
        self.host = self.backstage.desk(on_this_host("root"))

    async def entries(self) -> list[PolicyEntry]:
        return await read_stream(self.rabbit.settings("console"))

    async def held(self) -> PolicyEntry | None:
        return in_force(await self.entries(), time.time())

    async def publish(self, entry: PolicyEntry) -> None:
        await publish(self.rabbit, entry)

    async def close(self) -> None:
        await self._link.close()


async def publish(rabbit: Rabbit, entry: PolicyEntry) -> None:
    """Put an entry on the stream as the console would, whatever it says."""
    link = Link(rabbit.settings("console"), "test-policy")
    publisher = Publisher(link)
    link.start()
    try:
        await publisher.publish(Exchange.POLICY.value, Key.POLICY.value, encode_policy(entry))
    finally:
        await link.close()


def based_on(page: httpx.Response) -> str:
    found = re.search(r'name="(?:based_on|version)" value="(\d+)"', page.text)
    assert found, page.text
    return found[1]


ALL_BUT_ADMINISTRATORS = [role for role in Role if role is not Role.ADMINISTRATOR]
