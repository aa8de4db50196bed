"""The wire form of checking a domain's routes, `gatepost.route-check.v1` and `gatepost.route-checked.v1` (PURE).

Owns: the console's question what delivery meets on the routes of a domain, and delivery's answer, as JSON bodies. They
go the way of recipient verification (shared/wire_verify.py), to the same queue and exchange.
Input / Output: `RouteQuestion`, `RouteAnswer`.
On failure: WireError, naming what is wrong.
Versions: v1 may gain optional fields; a reader ignores what it does not know. Anything else is v2.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from shared.explain import explain
from shared.wire import WireError
from shared.wire_verify import VerifyResult

ROUTE_CHECK_TYPE = "gatepost.route-check.v1"
ROUTE_CHECKED_TYPE = "gatepost.route-checked.v1"
# Delivery has answered by then; whoever asks waits a little longer.
ROUTE_CHECK_S = 30.0
TEXT_LIMIT = 500
NAMES_LIMIT = 50
HOSTS_LIMIT = 10
ROUTES_LIMIT = 20
_CAUSE_LIMIT = 500

# AMQP 0-9-1 §4.2.5.3: a routing key is a short string; longer ones would end the channel that sends them.
_Key = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Domain = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_Text = Annotated[str, StringConstraints(max_length=TEXT_LIMIT)]


class Reached(StrEnum):
    """How far delivery came with a host. refused: it has spoken with us, and does not take our mail now."""

    YES = "yes"
    REFUSED = "refused"
    NO = "no"


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """The certificate that a host showed. not_before, not_after: Unix seconds. names: DNS names that it bears."""

    subject: _Text
    issuer: _Text
    names: Annotated[tuple[_Text, ...], Field(max_length=NAMES_LIMIT)]
    not_before: float
    not_after: float
    fingerprint: _Text
    self_signed: bool


@dataclass(frozen=True, slots=True)
class HostSeen:
    """One host of a route. target: whom delivery connected to. names: one of which its certificate should bear, if any.

    cause: why it was not reached. tls: version and cipher, empty in plain text; security: what that is worth.
    login: who we logged in as, if we did. postmaster: whether it takes postmaster of the domain from the null sender;
    reply: its words to that.
    """

    target: _Text
    reached: Reached
    names: Annotated[tuple[_Text, ...], Field(max_length=NAMES_LIMIT)] = ()
    cause: _Text = ""
    tls: _Text = ""
    login: _Text = ""
    certificate: CertificateSeen | None = None
    postmaster: VerifyResult = VerifyResult.UNKNOWN
    reply: _Text = ""
    security: _Text = ""


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """One route. tls: what the policy demands there. problem: why no host could be tried; temporary: for now."""

    route: _Text
    tls: _Text = ""
    hosts: Annotated[tuple[HostSeen, ...], Field(max_length=HOSTS_LIMIT)] = ()
    problem: _Text = ""
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class RouteQuestion:
    """console → delivery: what is there on the routes of this domain? reply_key: routing key of who asks."""

    id: _Key
    reply_key: _Key
    domain: _Domain


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """delivery → console. our_name: how this delivery process greets where no interface says otherwise.

    problem: why nothing was looked at.
    """

    id: _Key
    domain: _Domain
    our_name: _Text = ""
    routes: Annotated[tuple[RouteSeen, ...], Field(max_length=ROUTES_LIMIT)] = ()
    problem: _Text = ""


_QUESTION = TypeAdapter(RouteQuestion)
_ANSWER = TypeAdapter(RouteAnswer)


def encode_route_question(question: RouteQuestion) -> bytes:
    """Return the body of a question."""
    return _QUESTION.dump_json(question)


def decode_route_question(message_type: str | None, body: bytes) -> RouteQuestion:
    """Return the question of a message. Raises WireError."""
    if message_type != ROUTE_CHECK_TYPE:
        raise WireError(f"type is {message_type!r}, expected {ROUTE_CHECK_TYPE!r}")
    try:
        return _QUESTION.validate_json(body)
    except ValidationError as error:
        raise WireError(f"route question: {explain(error)[:_CAUSE_LIMIT]}") from None


def encode_route_answer(answer: RouteAnswer) -> bytes:
    """Return the body of an answer."""
    return _ANSWER.dump_json(answer)


def decode_route_answer(body: bytes) -> RouteAnswer:
    """Return the answer of a body. Raises WireError."""
    try:
        return _ANSWER.validate_json(body)
    except ValidationError as error:
        raise WireError(f"route answer: {explain(error)[:_CAUSE_LIMIT]}") from None
