"""How a client introduces itself: HELO, EHLO, STARTTLS, XCLIENT, and what EHLO offers it.

Standards: RFC 5321 §4.1.1.1 and §4.1.4, RFC 3207 (STARTTLS), RFC 2920, RFC 1870, RFC 6152, RFC 6531, RFC 2034,
RFC 4954, RFC 3030, RFC 3461, RFC 8689, Postfix's XCLIENT.
On failure: a reply with its enhanced code; errors are counted.
"""

# ruff: noqa: N802  (aiosmtpd finds commands by these names)

from functools import lru_cache

import structlog

from services.edge import xclient
from services.edge.decide.refusal import RefusalReason, refuse
from services.edge.engine import Engine
from services.edge.session import Transaction
from services.edge.transfer import NO_ARGUMENT
from shared.address import AddressError, parse_domain
from shared.policy import TlsMode
from shared.policy.client import in_networks, plain_ip
from shared.reply import Reply

_log = structlog.get_logger()

EHLO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
_NO_XCLIENT = refuse(RefusalReason.XCLIENT, 550, "5.7.0", "XCLIENT is for listed clients")
_XCLIENT_LATE = Reply(503, "5.5.1", "XCLIENT goes neither within a transaction nor after AUTH")


class Hello(Engine):
    """The part of a connection in which the client says who it is."""

    # Who said XCLIENT; empty while the client speaks for itself.
    _introducer = ""

    async def smtp_HELO(self, hostname: str) -> None:
        """RFC 5321 §4.1.1.1."""
        if await self._greet(hostname):
            self.state.extended_smtp = False
            await self.push(f"250 {self.handler.hostname}")

    async def smtp_EHLO(self, hostname: str) -> None:
        """RFC 5321 §4.1.1.1."""
        if await self._greet(hostname):
            self.state.extended_smtp = True
            lines = [self.handler.hostname, *self._extensions()]
            await self.push("\r\n".join([f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]))

    async def _greet(self, hostname: str) -> bool:
        try:
            # RFC 5321 §4.1.3: an IPv6 literal, unlike many clients' own idea of it, carries its tag.
            if not hostname.isascii():
                # RFC 6531 §3.7.1: A-labels here, whatever the addresses are.
                raise AddressError(hostname)
            _known_domain(hostname)
        except AddressError:
            await self.fail(Reply(501, "5.5.2", "HELO and EHLO take a domain name or an address literal"))
            return False
        # RFC 5321 §4.1.4: a second one resets like RSET.
        self.abandon_message()
        self.tx = Transaction()
        self.state.host_name = hostname
        if refusal := self.handler.admission.at_helo(self.state):
            self.turn_away(refusal)
        return True

    def _extensions(self) -> list[str]:
        rules, state = self.state.rules, self.state
        offered = ["PIPELINING", f"SIZE {self.limits.message_size_bytes}", "8BITMIME", "SMTPUTF8"]
        if self._can_start_tls:
            offered.append("STARTTLS")
        # RFC 4954 §4: not offered again after a login; here never without TLS.
        if rules.auth and state.tls and state.account is None:
            mechanisms = self.handler.authenticator.offered(rules, self.channel_bindings())
            offered += [f"AUTH {' '.join(mechanisms)}"] if mechanisms else []
        if rules.chunking:
            offered.append("CHUNKING")
        if rules.dsn:
            offered.append("DSN")
        if self.offers_requiretls:
            offered.append("REQUIRETLS")
        if rules.xclient_from and self._may_introduce:
            offered.append(f"XCLIENT {' '.join(xclient.ATTRIBUTES)}")
        return [*offered, "ENHANCEDSTATUSCODES"]

    @property
    def offers_requiretls(self) -> bool:
        """Whether REQUIRETLS goes here and now. RFC 8689 §2: within TLS only."""
        return self.state.rules.requiretls and self.state.tls is not None

    @property
    def _can_start_tls(self) -> bool:
        return self.door.certificates is not None and self.state.tls is None and self.state.rules.tls is not TlsMode.OFF

    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207 §4."""
        if arg:
            await self.fail(NO_ARGUMENT)
        elif self.state.tls is not None:
            # RFC 3207 §4.2: not twice.
            await self.fail(Reply(503, "5.5.1", "TLS is active already"))
        elif not self._can_start_tls:
            await self.fail(Reply(502, "5.5.1", "STARTTLS is not offered"))
        elif not self.state.extended_smtp:
            await self.fail(EHLO_FIRST)
        else:
            await self.push("220 2.0.0 Ready to start TLS")
            # RFC 3207 §6 (CVE-2011-0411): what came in the clear behind STARTTLS is not the client's word.
            self.inbox.take()
            self.abandon_message()
            await self.upgrade_to_tls()

    @property
    def _may_introduce(self) -> bool:
        # Whoever was introduced has no right to introduce others; the one who did it keeps it.
        speaker = self._introducer or self.state.address
        return in_networks(self.state.rules.xclient_from, plain_ip(speaker))

    async def smtp_XCLIENT(self, arg: str) -> None:
        """XCLIENT_README: 220 and a session that begins anew, 501, 503, 550."""
        if not self._may_introduce:
            await self.refused(self.handler.refuse(self.state, "XCLIENT", _NO_XCLIENT))
            return
        if self.tx.sender is not None or self.state.account is not None:
            await self.fail(_XCLIENT_LATE)
            return
        try:
            client = xclient.parse(arg)
        except xclient.XClientError as error:
            await self.fail(Reply(501, "5.5.4", f"Bad XCLIENT: {error}"))
            return
        self._introducer = self._introducer or self.state.address
        # What was counted for the one who introduces is given back before the other is counted.
        await self.handler.admission.leave(self.state)
        self.state = xclient.begin_anew(self.state, client)
        self.tx = Transaction()
        _log.info("client-introduced", by=self._introducer, client=self.state.address, listener=self.listener)
        await self._admit()
        await self.welcome()


@lru_cache(maxsize=2048)
def _known_domain(text: str) -> str:
    return parse_domain(text)
