"""Who a message is really from: SPF, DKIM, DMARC, ARC and iprev together (I/O through the resolver).

Output: `Authenticity`: findings, our Authentication-Results, and what proves the sender.
Standards: RFC 7208, RFC 6376, RFC 9989, RFC 8617, RFC 8601.
On failure: DNS that fails is temperror; whoever calls sets the deadline.
"""

import asyncio
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.proof import proved_by, proves_sender
from services.content.auth.results import AuthResult, DkimResult, DmarcResult, IprevResult, results_field
from services.content.auth.treewalk import tree_walk
from services.content.checks.arc import arc_finding, check_arc
from services.content.checks.digests import digest_body
from services.content.checks.dkim import check_dkim, dkim_finding
from services.content.checks.dmarc import check_dmarc, dmarc_finding
from services.content.checks.iprev import check_iprev, iprev_finding
from services.content.checks.spf import helo_finding, spf_finding
from services.content.finding import Finding, unsure
from shared import tracing
from shared.auth.message import Message
from shared.auth.spf_check import check_spf_identities
from shared.auth.spf_result import SpfResult
from shared.dns.answer import DnsTemporary, Resolver
from shared.dns.patience import Patience
from shared.dns.replay import replay
from shared.envelope import Envelope, Proof
from shared.verdict import CheckName


@dataclass(frozen=True, slots=True)
class Authenticity:
    """What the checks say together. results: of our Authentication-Results field, empty where nothing was checked.

    client_name: what DNS confirms in both directions, None if nothing. organization: the author's organizational
    domain, looked for only where aggregate reports are wanted. sender_proved: so that exemptions of senders apply.
    """

    findings: tuple[Finding, ...] = ()
    results: str = ""
    proved: Proof | None = None
    client_name: str | None = None
    spf: SpfResult | None = None
    dkim: tuple[DkimResult, ...] = ()
    dmarc: DmarcResult | None = None
    arc: ArcResult | None = None
    organization: str = ""
    sender_proved: bool = False


_Seen = TypeVar("_Seen")
_ALWAYS_TOLD = (CheckName.SPF, CheckName.DKIM, CheckName.DMARC)


class Authenticator:
    """Runs them for one worker. patience: with its resolver. authserv_id: our name in Authentication-Results."""

    def __init__(self, patience: Patience, authserv_id: str) -> None:
        self._patience = patience
        self._authserv_id = authserv_id

    async def authenticate(
        self, envelope: Envelope, message: Message, acting: Collection[CheckName], *, every: bool = False
    ) -> Authenticity:
        """Return what they say. acting: checks that a policy acts upon by themselves, so that not knowing defers.
        every: look into each identifier, for aggregate reports.

        Raises nothing but cancellation, and what is a defect.
        """
        with self._patience.for_message() as resolver:
            found = await self._authenticate(resolver, envelope, message, acting, every=every)
            return replace(found, organization=await _organization(resolver, found.dmarc)) if every else found

    async def _authenticate(
        self, resolver: Resolver, envelope: Envelope, message: Message, acting: Collection[CheckName], *, every: bool
    ) -> Authenticity:
        client = envelope.client
        digests = await digest_body(message)
        spf, dkim, reverse = await asyncio.gather(
            _traced(
                CheckName.SPF,
                check_spf_identities(resolver, client.address, client.helo, envelope.sender, self._authserv_id),
            ),
            _traced(CheckName.DKIM, check_dkim(resolver, message, digests)),
            _traced(CheckName.IPREV, check_iprev(resolver, client)),
        )
        arc = await _traced(CheckName.ARC, check_arc(resolver, message, digests))
        dmarc = await _traced(CheckName.DMARC, check_dmarc(resolver, message, spf.mail_from, dkim, every=every))
        proof = await replay(resolver, lambda lookup: proved_by(envelope.sender, spf.mail_from, dkim, dmarc, lookup))
        sender_proved = await replay(
            resolver, lambda lookup: proves_sender(envelope.sender, spf.mail_from, dkim, lookup)
        )
        helo = helo_finding(spf, client.address, matters=CheckName.SPF in acting)
        findings = (
            iprev_finding(reverse, client.address, matters=CheckName.IPREV in acting),
            spf_finding(spf, client.address, matters=CheckName.SPF in acting),
            *([helo] if helo else []),
            dkim_finding(dkim, matters=CheckName.DKIM in acting),
            dmarc_finding(dmarc),
            arc_finding(arc, matters=CheckName.ARC in acting),
        )
        results: list[AuthResult] = [IprevResult(reverse.word, client.address), spf.mail_from]
        results += [spf.helo] if spf.helo else []
        results += [*dkim, dmarc]
        results += [arc] if arc.word is not ArcWord.NONE else []
        return Authenticity(
            findings,
            results_field(self._authserv_id, results),
            Proof(proof.value) if proof else None,
            reverse.name,
            spf.mail_from,
            dkim,
            dmarc,
            arc,
            sender_proved=sender_proved,
        )

    def without_result(self, cause: str, acting: Collection[CheckName]) -> Authenticity:
        """Return what is to be said where they came to no end."""
        findings = tuple(
            unsure(check, "temperror", cause)
            if check is CheckName.DMARC or check in acting
            else Finding(check, "temperror", cause)
            for check in (CheckName.SPF, CheckName.DKIM, CheckName.DMARC, CheckName.ARC, CheckName.IPREV)
            if check in _ALWAYS_TOLD or check in acting
        )
        # RFC 8601 §2.7: temperror; a later try may come to another result.
        words = (f"{check}=temperror" for check in _ALWAYS_TOLD)
        return Authenticity(findings, f"{self._authserv_id}; {'; '.join(words)}")


async def _traced(check: CheckName, work: Awaitable[_Seen]) -> _Seen:
    with tracing.span(check.value):
        return await work


async def _organization(resolver: Resolver, dmarc: DmarcResult | None) -> str:
    if dmarc is None or dmarc.record is None or not dmarc.record.rua:
        return ""
    author = dmarc.author_domain
    try:
        return await replay(resolver, lambda lookup: tree_walk(author, lookup).organizational_domain)
    except DnsTemporary:
        return dmarc.record.domain
