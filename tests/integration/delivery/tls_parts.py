"""Sessions on terms of their own, and certificates of all kinds, for the tests of TLS outward."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from services.delivery.client.session import Session, Target, open_session
from services.delivery.client.target import Speech
from services.delivery.client.terms import SessionTerms, Source
from services.delivery.client.transaction import transact
from services.delivery.outcome import Outcome
from services.delivery.secrets import Secrets
from services.delivery.tls.demand import TlsDemand
from tests.certificates import Signed, signed, written
from tests.integration.delivery.parts import MESSAGE, envelope_for

HOST = "mx.hop.test"
_WITHIN_S = 20.0


@dataclass(frozen=True)
class Papers:
    """Files with a server's certificate, and the authority that is trusted as the secret `ca`."""

    folder: Path
    authority: Signed

    def of(self, kind: str) -> Path:
        """Return the file of a kind."""
        return self.folder / f"{kind}.pem"


def papers(folder: Path) -> Papers:
    """Write certificates: good, expired, wrong-name, self-signed, wildcard, by an authority that is not trusted."""
    authority, stranger = signed("an authority", authority=True), signed("a stranger", authority=True)
    kinds = {
        "good": (signed("mx", HOST, by=authority),),
        "chained": (signed("mx", HOST, by=authority), authority),
        "expired": (signed("mx", HOST, by=authority, days=-1),),
        "wrong-name": (signed("mx", "other.hop.test", by=authority),),
        "self-signed": (signed("mx", HOST),),
        "wildcard": (signed("mx", "*.hop.test", by=authority),),
        "stranger": (signed("mx", HOST, by=stranger), stranger),
        "name-in-subject-alone": (signed(HOST, by=authority),),
        "not-an-authority": (signed("mx", HOST, by=signed("mx", HOST, by=authority)),),
        "domain": (signed("mx", "hop.test", by=authority), authority),
        "expired-chained": (signed("mx", HOST, by=authority, days=-1), authority),
        "wrong-name-chained": (signed("mx", "other.hop.test", by=authority), authority),
        "client": (signed("client.gate.test", by=authority),),
        "ca": (authority,),
    }
    for kind, pairs in kinds.items():
        written(folder / f"{kind}.pem", *pairs).chmod(0o600)
    return Papers(folder, authority)


async def session_with(target: Target, demand: TlsDemand, secrets: Path) -> Session:
    """Return a session on a demand. Raises HopUnreachable."""
    deadline = asyncio.get_running_loop().time() + _WITHIN_S
    return await open_session(target, SessionTerms(Source("gate.test"), 10, demand), deadline, Secrets(secrets))


def at(port: int, **more: object) -> Target:
    """Return a target on this host that is called `HOST`."""
    values: dict[str, object] = {"speech": Speech.SMTP, "host": HOST, "address": "127.0.0.1", "port": port}
    return Target(**(values | more))  # type: ignore[arg-type]


async def send(session: Session, *, requiretls: bool = False) -> Outcome:
    """Send a message on a session, end it, and return what became of it."""
    deadline = asyncio.get_running_loop().time() + _WITHIN_S
    (outcome,) = await transact(session, envelope_for(requiretls=requiretls), MESSAGE, deadline)
    session.wire.abort("the test is over")
    return outcome
