"""What a message would meet by a policy, step by step (PURE).

Owns: the order of edge's questions, told with the rules of shared/policy and shared/rewriting that edge and delivery
themselves ask: access, bans, relaying, recipients, aliases, limits, client control, exemptions, routes.
Input: what SMTP would say, and the ban and the account that there are now. Output: `Step`s in their order.
Not told here, and said so: what is asked of others at the time (DNS, LDAP, next servers), what is counted (rates,
places, greylisting), and what content sees in the text of a message.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.console.access_text import rule_in_words
from services.console.story.told import moment, size
from shared.accounts import Account
from shared.address import Address, AddressError, is_routed_local_part, parse_address
from shared.bans import Ban, is_exempt
from shared.envelope import Direction
from shared.policy import Listener, Policy, Purpose, TlsMode
from shared.policy.access import AccessAction, judge_access
from shared.policy.client import ClientFacts, Fit, plain_ip
from shared.policy.destination import sender_key
from shared.policy.domain import is_always_taken
from shared.policy.exemption import Mail
from shared.policy.listener import ClientCertificates
from shared.policy.patterns import matches_address
from shared.rewriting.keys import RewritingKeys
from shared.rewriting.resolve import Ask, Unknown, Why, resolve
from shared.routes import parse_route
from shared.verdict import CheckName

_WHO_KNOWS = {"ldap": "the directory", "verified": "the next server"}
_UNPLACED = {
    Why.NOBODY: "nobody has this address: 550 5.1.1",
    Why.NO_SECRET: "only edge can tell: the address was written anew (SRS, BATV), with a secret that is edge's",
    Why.SRS_FORGED: "the address has the form of SRS and was not written here: 550 5.1.1",
    Why.SRS_EXPIRED: "the address has the form of SRS and is too old: 550 5.1.1",
    Why.NOT_A_BOUNCE: "the address takes bounces alone: 550 5.7.1",
    Why.UNTAGGED: "a bounce for mail that this domain has not sent: 550 5.7.1",
}


class Meets(StrEnum):
    """What comes of a step. depends: on what is known at the time alone."""

    PASSES = "passes"
    REFUSED = "refused"
    DEPENDS = "depends"


@dataclass(frozen=True, slots=True)
class Asked:
    """The message. name: the client's confirmed host name, None: not said. login: None without one."""

    client: str
    listener: str
    sender: str
    recipients: tuple[str, ...]
    helo: str = ""
    name: str | None = None
    tls: bool = False
    login: str | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One question. rule: the key of the policy that answers it, empty where none does."""

    what: str
    meets: Meets
    says: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the policy. ban: of the client, now. account: of the login; None: there is none here."""

    ban: Ban | None
    account: Account | None
    now: float


@dataclass(frozen=True, slots=True)
class _Case:
    """All that the questions are asked of. sender: as rules compare it, empty for the null sender."""

    policy: Policy
    listener: Listener
    client: ClientFacts
    sender: str
    asked: Asked
    facts: Facts


def simulate(policy: Policy, asked: Asked, facts: Facts) -> list[Step]:
    """Return what the message would meet. Raises ValueError for an address or listener that is none."""
    listener = policy.listeners.get(asked.listener)
    if listener is None:
        raise ValueError(f"there is no listener {asked.listener!r}: {', '.join(policy.listeners)}")
    client = ClientFacts(plain_ip(asked.client), asked.name, asked.helo or None, None, asked.login)
    sender = "" if asked.sender in ("", "<>") else str(parse_address(asked.sender))
    case = _Case(policy, listener, client, sender, asked, facts)
    steps = list(_connect(case))
    steps += _mail(case)
    taken: list[Address] = []
    for text in asked.recipients:
        recipient = parse_address(text)
        found = list(_recipient(case, recipient))
        steps += found
        if all(step.meets is not Meets.REFUSED for step in found):
            taken.append(recipient)
    steps += _size(listener, taken, asked)
    steps += _content(case, taken)
    return steps


def first_refusal(steps: Iterable[Step]) -> Step | None:
    """Return where the message would end, None if nowhere that is known."""
    return next((step for step in steps if step.meets is Meets.REFUSED), None)


def not_told(policy: Policy, asked: Asked, *, looked_inside: bool = False) -> list[str]:
    """Return what is not simulated, in sentences, as far as this policy would ask it. looked_inside: content has."""
    said = ["Rates and places are counted at the time: they are not told here."]
    listener = policy.listeners.get(asked.listener)
    if listener is not None and listener.purpose is Purpose.INBOUND:
        if policy.dns_lists.lists:
            zones = ", ".join(one.zone for one in policy.dns_lists.lists)
            said.append(f"DNS lists are asked at the time: {zones}.")
        said.append("The client's name in DNS and what it says before it is greeted are looked at when it connects.")
    if not looked_inside:
        said.append(
            "Content looks into the message itself (malware, spam, SPF, DKIM, DMARC, attachments): hand it in, "
            "or have a held copy judged (its page, `gatepost quarantine judge`), to see that."
        )
    return said


def _connect(case: _Case) -> Iterator[Step]:
    policy, listener, client, asked, facts = case.policy, case.listener, case.client, case.asked, case.facts
    rules = [*listener.access, *policy.access]
    access = judge_access(rules, client, final=True)
    trusted = access.action is AccessAction.ALLOW
    if access.rule is None:
        unsure = any(rule.fit(client) is Fit.UNKNOWN for rule in rules)
        says = "no rule fits" + (", but one asks for a name or certificate that was not said" if unsure else "")
        yield Step("access rules", Meets.DEPENDS if unsure else Meets.PASSES, says, "access")
    else:
        number = rules.index(access.rule)
        own = number < len(listener.access)
        key = f"listeners.{asked.listener}.access" if own else "access"
        place = number + 1 if own else number + 1 - len(listener.access)
        says = f"rule {place} fits: {rule_in_words(access.rule)}"
        yield Step("access rules", Meets.PASSES if trusted else Meets.REFUSED, says, key)
    if facts.ban is None or facts.ban.left_s(facts.now) <= 0:
        yield Step("bans", Meets.PASSES, f"{client.address} is not banned now", "bans")
    elif trusted or not policy.bans.enabled or is_exempt(asked.client, policy):
        yield Step("bans", Meets.PASSES, "it is banned, but a rule lets it in all the same", "bans")
    else:
        yield Step("bans", Meets.REFUSED, f"{client.address} is banned until {moment(facts.ban.until)}", "bans")


def _mail(case: _Case) -> Iterator[Step]:
    policy, listener, client, sender, asked = case.policy, case.listener, case.client, case.sender, case.asked
    where = f"listeners.{asked.listener}"
    if listener.tls in (TlsMode.REQUIRED, TlsMode.IMPLICIT) and not asked.tls:
        yield Step("TLS", Meets.REFUSED, "this listener takes no mail without TLS: 530 5.7.0", f"{where}.tls")
    if listener.client_certificates is ClientCertificates.REQUIRE:
        yield Step("certificate", Meets.DEPENDS, "a client certificate is asked for", f"{where}.client_certificates")
    yield from _login(listener, sender, asked, case.facts, where)
    proof = policy.relay.proof(client, sender)
    if listener.purpose is Purpose.RELAY and proof is None:
        yield Step("listener", Meets.REFUSED, "this listener is for listed hosts: 550 5.7.1", "relay")
    for rule in policy.clients:
        if not rule.fits(client, sender):
            continue
        key = f"clients, rule {rule.name}"
        if rule.refuse and not rule.is_about_recipients:
            yield Step("client control", Meets.REFUSED, rule.text or "a rule refuses this client", key)
        elif rule.message_size_bytes is not None and asked.size_bytes > rule.message_size_bytes:
            yield Step("client control", Meets.REFUSED, f"more than {_octets(rule.message_size_bytes)}: 552 5.3.4", key)
        else:
            yield Step("client control", Meets.DEPENDS, "what this client sends is counted", key)


def _login(listener: Listener, sender: str, asked: Asked, facts: Facts, where: str) -> Iterator[Step]:
    if asked.login is None:
        if listener.purpose is Purpose.SUBMISSION:
            yield Step("login", Meets.REFUSED, "this listener takes mail of logged-in users: 530 5.7.0", where)
        return
    if not listener.auth:
        yield Step("login", Meets.REFUSED, "this listener offers no login", f"{where}.auth")
    elif not asked.tls:
        yield Step("login", Meets.REFUSED, "no login is offered without TLS", f"{where}.tls")
    elif facts.account is None:
        yield Step("login", Meets.DEPENDS, f"there is no account {asked.login} here; LDAP or Kerberos may have one")
    elif facts.account.disabled:
        yield Step("login", Meets.REFUSED, f"the account {asked.login} is disabled")
    elif not facts.account.may_send_as(sender):
        yield Step("sender", Meets.REFUSED, f"{asked.login} may not send as {sender}: 553 5.7.1")
    else:
        yield Step("sender", Meets.PASSES, f"{asked.login} may send as {sender or '<>'}")


def _recipient(case: _Case, recipient: Address) -> Iterator[Step]:
    policy, client, sender, asked = case.policy, case.client, case.sender, case.asked
    to = f"recipient {recipient}"
    for rule in policy.clients:
        fits = rule.fits_recipient(str(recipient)) and rule.fits(client, sender)
        if fits and rule.refuse and rule.is_about_recipients:
            yield Step(to, Meets.REFUSED, rule.text or "a rule refuses it", f"clients, rule {rule.name}")
    rules = policy.domains.get(recipient.domain)
    if rules is None:
        yield _relayed(policy, client, sender, recipient, to)
        yield _routed(policy, sender, recipient, to)
        return
    key = f"domains.{recipient.domain}"
    found = resolve(recipient, policy, RewritingKeys(), null_sender=not sender, now=case.facts.now)
    if isinstance(found, Unknown):
        unsure = found.reason is Why.NO_SECRET
        meets = Meets.DEPENDS if unsure else Meets.REFUSED
        yield Step(to, meets, _UNPLACED[found.reason], f"{key}.recipients")
        return
    if rules.size_bytes is not None and asked.size_bytes > rules.size_bytes:
        yield Step(to, Meets.REFUSED, f"more than {_octets(rules.size_bytes)}, the domain's limit", f"{key}.size_bytes")
    placed = found.placed if isinstance(found, Ask) else found
    if placed.as_written and is_routed_local_part(placed.addresses[0].local_part):
        behind = policy.domains.get(placed.addresses[0].domain)
        if behind is None or not behind.names(placed.addresses[0].local_part):
            yield Step(to, Meets.REFUSED, "a local part by which the next server might route: 550 5.7.1")
            return
    if isinstance(found, Ask):
        who = _WHO_KNOWS.get(str(rules.recipients), "the next server")
        yield Step(to, Meets.DEPENDS, f"{who} is asked whether it knows {found.address}", f"{key}.recipients")
    names = ", ".join(map(str, placed.addresses))
    by = f" (by {', '.join(placed.by)})" if placed.by else ""
    yield Step(to, Meets.PASSES, f"goes to {names}{by}", key)
    yield from _greylisting(case, recipient)
    for address in dict.fromkeys(placed.addresses):
        yield _routed(policy, sender, address, to)


def _relayed(policy: Policy, client: ClientFacts, sender: str, recipient: Address, to: str) -> Step:
    if policy.relay.proof(client, sender) is None or not policy.relay.judge(client, sender, str(recipient)):
        return Step(to, Meets.REFUSED, f"{recipient.domain} is not ours, and the client may not relay", "relay")
    if is_routed_local_part(recipient.local_part):
        return Step(to, Meets.REFUSED, "a local part by which the next server might route: 550 5.7.1")
    says = "a login may send anywhere" if client.login is not None else "the client may relay"
    return Step(to, Meets.PASSES, says, "relay")


def _greylisting(case: _Case, recipient: Address) -> Iterator[Step]:
    policy, listener, client, sender = case.policy, case.listener, case.client, case.sender
    rules = policy.greylist
    domain = policy.domains.get(recipient.domain)
    if not rules.enabled or listener.purpose is not Purpose.INBOUND or policy.relay.proof(client, sender) is not None:
        return
    exempt = (
        (domain is not None and not domain.greylisting)
        or is_always_taken(recipient.local_part)
        or any(matches_address(pattern, str(recipient)) for pattern in rules.recipients)
        or any(matches_address(pattern, sender) for pattern in rules.senders)
        or any(match.fit(client) is Fit.YES for match in rules.exempt)
        or judge_access([*listener.access, *policy.access], client, final=True).action is AccessAction.ALLOW
    )
    if not exempt:
        yield Step(
            f"recipient {recipient}",
            Meets.DEPENDS,
            f"who comes for the first time is asked to come again after {rules.wait_s} s",
            "greylist",
        )


def _routed(policy: Policy, sender: str, recipient: Address, to: str) -> Step:
    choices = policy.routes_of(recipient.domain)
    route = parse_route(choices[0].to)
    rules = policy.hop_rules(route, recipient.domain)
    own = policy.interface_of_sender.get(sender_key(sender)) or policy.interface_of_sender.get(
        sender_key(f"@{sender.rpartition('@')[2]}")
    )
    interface = own or rules.interface
    parts = [f"{recipient} goes by {', else '.join(str(parse_route(one.to)) for one in choices)}", f"TLS {rules.tls}"]
    if interface:
        parts.append(f"from interface {interface}")
    lifetime_h = policy.retry_rules(route, recipient.domain).lifetime_s / 3600
    parts.append(f"tried for {lifetime_h:.0f} h")
    key = f"domains.{recipient.domain}.route" if recipient.domain in policy.domains else "default_route"
    return Step(f"route of {to.removeprefix('recipient ')}", Meets.PASSES, ", ".join(parts), key)


def _size(listener: Listener, taken: list[Address], asked: Asked) -> Iterator[Step]:
    most = listener.limits.message_size_bytes
    key = f"listeners.{asked.listener}.limits"
    if len(asked.recipients) > listener.limits.recipients:
        says = f"more than {listener.limits.recipients} recipients: those beyond come again, 452 4.5.3"
        yield Step("recipients", Meets.DEPENDS, says, f"{key}.recipients")
    if asked.size_bytes > most:
        yield Step("size", Meets.REFUSED, f"more than {_octets(most)}: 552 5.3.4", f"{key}.message_size_bytes")
    elif taken:
        yield Step("size", Meets.PASSES, f"{_octets(asked.size_bytes)} of at most {_octets(most)}", key)


def _content(case: _Case, taken: list[Address]) -> Iterator[Step]:
    policy, listener, client, sender, asked = case.policy, case.listener, case.client, case.sender, case.asked
    direction = listener.direction
    proved = policy.relay.proof(client, sender) is not None
    mail = Mail(direction.value, asked.client, asked.name, sender, proved, asked.login)
    for domain in dict.fromkeys(recipient.domain for recipient in taken):
        inbound = direction is Direction.INBOUND
        checks = policy.checks_of(domain) if inbound else policy.outbound_of(sender.rpartition("@")[2])
        spared = {
            check: exemption.name
            for exemption in policy.exemptions
            if exemption.fits(mail, domain)
            for check in exemption.checks
        }
        acts = [name for name in type(checks).model_fields if getattr(checks, name).enabled]
        says = f"examined by {', '.join(name for name in acts if CheckName(name) not in spared) or 'nothing'}"
        if spared:
            says += "; exempt from " + ", ".join(f"{check} (by {name!r})" for check, name in spared.items())
        key = f"domains.{domain}.checks" if inbound else "outbound"
        yield Step(f"content, for {domain}", Meets.DEPENDS, says, key)


def _octets(number: int) -> str:
    return size(number).removeprefix("of ")


def read_recipients(text: str) -> tuple[str, ...]:
    """Return the addresses of a field, with spaces or commas between. Raises ValueError for none."""
    found = tuple(text.replace(",", " ").split())
    if not found:
        raise ValueError("say at least one recipient")
    for one in found:
        try:
            parse_address(one)
        except AddressError as error:
            raise ValueError(f"{one}: {error}") from None
    return found
