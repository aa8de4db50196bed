"""The SMTP commands of edge.

Owns: the syntax and order of the commands of a transaction, AUTH, and the small ones; what is allowed is the handler's
to say.
Standards: RFC 5321 §4.1, RFC 1870, RFC 6152, RFC 6531, RFC 4954, RFC 3461, RFC 8689.
On failure: a reply with its enhanced code; errors are counted.
"""

# ruff: noqa: N802  (aiosmtpd finds commands by these names)

from typing import ClassVar

from services.edge.auth.dialogue import log_in
from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.ending import Over
from services.edge.engine import Command
from services.edge.hello import EHLO_FIRST, Hello
from services.edge.parameters import (
    ParameterError,
    parse_mail_parameters,
    parse_rcpt_parameters,
    split_path,
)
from services.edge.session import Transaction
from services.edge.transfer import NO_ARGUMENT, NO_MAIL, Transfer
from shared.address import AddressError, parse_forward_path, parse_reverse_path
from shared.envelope import Recipient
from shared.reply import Reply

_OK = Reply(250, "2.0.0", "OK")
_BYE = Reply(221, "2.0.0", "Bye")
_HELO_FIRST = Reply(503, "5.5.1", "Send HELO or EHLO first")
_VRFY = Reply(252, "2.1.5", "Cannot verify, but the message will be taken if RCPT is")
_NO_COMMAND = Reply(502, "5.5.1", "Command not implemented")
_TOO_MANY_MESSAGES = refuse(
    RefusalReason.TOO_MANY_MESSAGES, 421, "4.7.0", "Too many messages in one session, closing it"
)
_IN_BDAT = Reply(503, "5.5.1", "Within BDAT only BDAT, RSET and QUIT go")


class EdgeSMTP(Hello, Transfer):
    """A connection of a listener."""

    commands: ClassVar[dict[bytes, Command]] = {}

    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954 §4."""
        state = self.state
        if not state.extended_smtp:
            await self.fail(EHLO_FIRST)
        elif not state.rules.auth:
            await self.fail(_NO_COMMAND)
        elif state.tls is None:
            # RFC 4954 §6.
            await self.fail(Reply(538, "5.7.11", "Encryption required for requested authentication mechanism"))
        elif state.account is not None:
            await self.fail(Reply(503, "5.5.1", "Already authenticated"))
        elif self.tx.sender is not None:
            await self.fail(Reply(503, "5.5.1", "Not within a transaction"))
        else:
            await log_in(self, arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        """RFC 5321 §4.1.1.2."""
        if not self.state.host_name:
            await self.fail(_HELO_FIRST)
            return
        if self.tx.sender is not None:
            await self.fail(Reply(503, "5.5.1", "Nested MAIL command"))
            return
        try:
            path, rest = self._path_of(arg or "", "FROM:")
            rules = self.state.rules
            parameters = parse_mail_parameters(rest, dsn=rules.dsn, auth=rules.auth, requiretls=self.offers_requiretls)
            sender = parse_reverse_path(path, smtputf8=parameters.smtputf8)
        except ParameterError as error:
            await self.fail(error.reply)
            return
        except AddressError as error:
            await self._refuse_path("MAIL", RefusalReason.SENDER_SYNTAX, Reply(501, "5.1.7", str(error)), arg or "")
            return
        if self.state.messages >= self.limits.messages:
            self.turn_away(_TOO_MANY_MESSAGES)
        address = str(sender) if sender else ""
        if reply := await self.handler.handle_MAIL(self.state, address, parameters.size):
            await self.refused(reply)
            return
        self.tx = Transaction(
            sender=address,
            smtputf8=parameters.smtputf8,
            requiretls=parameters.requiretls,
            ret=parameters.ret,
            envid=parameters.envid,
            declared_size=parameters.size,
        )
        await self.push("250 2.1.0 Sender OK")

    async def smtp_RCPT(self, arg: str | None) -> None:
        """RFC 5321 §4.1.1.3."""
        tx = self.tx
        if tx.sender is None:
            await self.fail(NO_MAIL)
            return
        if self.in_bdat:
            await self.fail(_IN_BDAT)
            return
        try:
            path, rest = self._path_of(arg or "", "TO:")
            parameters = parse_rcpt_parameters(rest, dsn=self.state.rules.dsn)
            address = parse_forward_path(path, smtputf8=tx.smtputf8)
        except ParameterError as error:
            await self.fail(error.reply)
            return
        except AddressError as error:
            await self._refuse_path("RCPT", RefusalReason.RECIPIENT_SYNTAX, Reply(501, "5.1.3", str(error)), arg or "")
            return
        address, reply = await self.handler.handle_RCPT(self.state, tx, address)
        if reply is not None:
            await self.refused_recipient(reply)
            return
        recipient = Recipient(str(address), parameters.notify, parameters.orcpt)
        # Named twice, it gets one copy all the same.
        if all(other.address != recipient.address for other in tx.recipients):
            tx.recipients.append(recipient)
            # Recipients have a limit of their own.
            self.state.commands -= 1
        await self.push("250 2.1.5 Recipient OK")

    def _path_of(self, arg: str, keyword: str) -> tuple[str, str]:
        if arg[: len(keyword)].upper() != keyword:
            raise ParameterError(501, "5.5.4", f"Syntax: {keyword}<address>")
        # Deliberately lenient: RFC 5321 §3.3 allows no space after the colon, many clients send one.
        path, rest = split_path(arg[len(keyword) :].lstrip(" "))
        if rest and not self.state.extended_smtp:
            raise ParameterError(501, "5.5.4", "Parameters need EHLO")
        return path, rest

    async def _refuse_path(self, command: str, reason: RefusalReason, reply: Reply, arg: str) -> None:
        refusal = Refusal(reason, reply)
        if command == "MAIL":
            await self.refused(self.handler.refuse(self.state, command, refusal, sender=arg[:200]))
        else:
            sender = self.tx.sender or ""
            await self.refused(self.handler.refuse(self.state, command, refusal, sender=sender, recipient=arg[:200]))

    async def smtp_RSET(self, arg: str) -> None:
        """RFC 5321 §4.1.1.5."""
        if arg:
            await self.fail(NO_ARGUMENT)
            return
        self.abandon_message()
        self.tx = Transaction()
        await self.push(_OK)

    async def smtp_NOOP(self, _arg: str) -> None:
        """RFC 5321 §4.1.1.9."""
        await self.push(_OK)

    async def smtp_VRFY(self, arg: str) -> None:
        """RFC 5321 §3.5.3: who is a recipient here is told nobody who does not send."""
        await (self.push(_VRFY) if arg else self.fail(Reply(501, "5.5.4", "Syntax: VRFY <address>")))

    async def smtp_EXPN(self, _arg: str) -> None:
        """RFC 5321 §4.1.1.7: there are no lists here."""
        await self.fail(_NO_COMMAND)

    async def smtp_HELP(self, _arg: str) -> None:
        """RFC 5321 §4.1.1.8."""
        names = sorted(name.decode() for name in self.commands)
        await self.push(Reply(214, "2.0.0", f"Commands: {' '.join(names)}"))

    async def smtp_QUIT(self, arg: str) -> None:
        """RFC 5321 §4.1.1.10."""
        if arg:
            await self.fail(NO_ARGUMENT)
            return
        raise Over(_BYE)


EdgeSMTP.commands = {
    name.removeprefix("smtp_").encode(): getattr(EdgeSMTP, name) for name in dir(EdgeSMTP) if name.startswith("smtp_")
}
