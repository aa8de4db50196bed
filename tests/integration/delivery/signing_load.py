"""Mail that is signed all the time, to change keys under."""

import asyncio
import re
import time

from services.delivery.outgoing.signer import Signer
from shared.dkim_keys import DkimKey
from shared.envelope import Direction, Envelope, Proof
from tests.dnsserver import DnsServer, Records
from tests.unit.services.delivery.envelopes import envelope_of
from tests.unit.services.delivery.outgoing.keys import record

MESSAGE = b"From: Joe <joe@example.org>\r\nTo: amy@example.net\r\n\r\nHello\r\n"


def envelope() -> Envelope:
    """Return the envelope of mail that was just handed in by somebody who has logged in."""
    return envelope_of(direction=Direction.OUTBOUND, proved=Proof.LOGIN, received_at=time.time())


def zone(*keys: DkimKey) -> Records:
    """Return the records of these keys."""
    return {key.name: {"TXT": record(key)} for key in keys}


class Load:
    """Mail that is signed all the time, by several at once; each signature is compared with DNS as it is then."""

    def __init__(self, signer: Signer, dns: DnsServer) -> None:
        self.in_dns: set[str] = set()
        self.by_selector: dict[str, int] = {}
        self.wrong: list[str] = []
        self._signer = signer
        self._dns = dns
        self._made = asyncio.Condition()
        self._over = False

    def publish(self, records: Records) -> None:
        """Have DNS hold these records and no others."""
        self._dns.replace(records)
        self.in_dns = {name.partition("._domainkey.")[0] for name in records}

    async def run(self) -> None:
        """Sign until `end`."""
        while not self._over:
            message = (await self._signer.sign(envelope(), MESSAGE)).message
            selectors = [found.decode() for found in re.findall(rb"\ts=([^;]+);", message)]
            if len(selectors) != 2 or not set(selectors) <= self.in_dns:
                self.wrong.append(f"{selectors} while DNS had {sorted(self.in_dns)}")
            async with self._made:
                for selector in selectors:
                    self.by_selector[selector] = self.by_selector.get(selector, 0) + 1
                self._made.notify_all()
            await asyncio.sleep(0)

    async def signs_now(self) -> bool:
        """Whether mail is signed at all."""
        return (await self._signer.sign(envelope(), MESSAGE)).message != MESSAGE

    async def signed_by(self, *selectors: str, more: int = 50) -> None:
        """Wait until these have signed so many more."""
        wanted = {one: self.by_selector.get(one, 0) + more for one in selectors}
        async with asyncio.timeout(20), self._made:
            await self._made.wait_for(lambda: all(self.by_selector.get(one, 0) >= n for one, n in wanted.items()))

    def end(self) -> None:
        """Let those who run stop."""
        self._over = True
