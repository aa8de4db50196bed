"""What DNS says of a client before the greeting (PURE): its name, and weighted block and allow lists."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from shared.policy.table import Domain, Table

_LISTINGS, _ERRORS, _LOOPBACK = IPv4Network("127.0.0.0/8"), IPv4Network("127.255.255.0/24"), IPv4Address("127.0.0.1")


class NameAction(StrEnum):
    """What comes of a client without a confirmed name."""

    ACCEPT = "accept"
    DEFER = "defer"
    DENY = "deny"


class ReverseRules(Table):
    """The client's name, from PTR and back (forward-confirmed). Looked up on inbound listeners.

    missing: what comes of a client whose address has no name, or whose name does not lead back. DNS that fails is
    never a refusal. timeout_s: how long the greeting may wait for it.
    """

    enabled: bool = True
    missing: NameAction = NameAction.ACCEPT
    timeout_s: float = Field(3, gt=0, le=20)


def _answer_network(value: object) -> object:
    return f"{value}/32" if isinstance(value, str) and "/" not in value else value


AnswerNetwork = Annotated[IPv4Network, BeforeValidator(_answer_network)]


class DnsListAnswer(Table):
    """What an answer of a list means. answer: an address or network in 127.0.0.0/8. score: negative speaks for it."""

    answer: AnswerNetwork
    score: int = Field(ge=-1000, le=1000)


class DnsList(Table):
    """One DNS list. score: of any listing, unless `answers` names the answer; negative for an allow list.

    Answers in 127.255.255.0/24 or outside 127.0.0.0/8 are errors of the list and never a listing (RFC 5782 §2.1).
    ipv6: ask for IPv6 clients, too. probe: whether 127.0.0.2 must be listed and 127.0.0.1 not, for the list to count.
    """

    zone: Domain
    score: int = Field(5, ge=-1000, le=1000)
    answers: list[DnsListAnswer] = []
    ipv6: bool = True
    probe: bool = Field(True, json_schema_extra={"standard": "RFC 5782 §5"})

    def score_of(self, answer: IPv4Address) -> int | None:
        """Return what an answer counts, None where it is no listing. RFC 5782 §2.1: listings are in 127/8."""
        if answer not in _LISTINGS or answer in _ERRORS:
            return None
        # 127.0.0.1 is what a broken or captured resolver says; no list uses it (RFC 5782 §5).
        if answer == _LOOPBACK:
            return None
        for meaning in self.answers:
            if answer in meaning.answer:
                return meaning.score
        return self.score


class DnsListRules(Table):
    """Block and allow lists. The scores of all answers add up; from `refuse_at` on, the client is refused.

    defer_at: from here on it is told to come again. probe_interval_s: how often the lists are probed. max_hit_share: a
    list that has more than this share of the last 100 clients is tried with addresses drawn at random; if it has all of
    these too, it stands aside until it behaves. 1 switches that off.
    """

    lists: list[DnsList] = Field([], max_length=50)
    refuse_at: int = Field(5, ge=1)
    defer_at: int | None = Field(None, ge=1)
    timeout_s: float = Field(3, gt=0, le=20)
    probe_interval_s: float = Field(600, ge=10)
    max_hit_share: float = Field(0.95, gt=0, le=1)

    @model_validator(mode="after")
    def _no_zone_twice(self) -> "DnsListRules":
        zones = [one.zone for one in self.lists]
        if twice := next((zone for zone in zones if zones.count(zone) > 1), None):
            raise ValueError(f"the list {twice} stands here twice")
        return self
