"""Whether an address that our mail comes from is on a block list, and where to ask for removal (PURE).

Input: the answers of the look-up.
Standards: RFC 5782 (§2.1 and §2.4 the names asked for and the answers, §5 test entries).
On failure: a list that gives no answer, or an error for one, says nothing and is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

from services.console.domain_check.check import Check, Topic, ok, unknown, wrong
from shared.auth.spf_result import plain
from shared.dns.answer import BadName, DnsTemporary
from shared.dns.replay import Lookup
from shared.policy.names import DnsList, DnsListRules
from shared.policy.table import IpAddress

_MUST_BE_LISTED = IPv4Address("127.0.0.2")


@dataclass(frozen=True, slots=True)
class BlockList:
    """A list. removal: the page where one asks to be taken off, empty if it is not known here."""

    rules: DnsList
    removal: str = ""


class Word(StrEnum):
    """What a list says of an address. dead: it says nothing of anybody, or nothing to us."""

    LISTED = "listed"
    CLEAN = "clean"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Listing:
    """One list's word on one address. text: its own reason."""

    block_list: BlockList
    word: Word
    text: str = ""


# Lists that many mail servers ask, and that say how one comes off.
WELL_KNOWN = (
    ("zen.spamhaus.org", "https://check.spamhaus.org/"),
    ("bl.spamcop.net", "https://www.spamcop.net/bl.shtml"),
    ("b.barracudacentral.org", "https://www.barracudacentral.org/rbl/removal-request"),
    ("psbl.surriel.com", "https://psbl.org/remove"),
    ("dnsbl-1.uceprotect.net", "https://www.uceprotect.net/en/rblcheck.php"),
    ("bl.mailspike.net", "https://www.mailspike.org/iplookup.html"),
    ("dnsbl.dronebl.org", "https://dronebl.org/lookup"),
    ("bl.blocklist.de", "https://www.blocklist.de/en/delist.html"),
)


def lists_to_ask(rules: DnsListRules) -> tuple[BlockList, ...]:
    """Return the lists of the policy that speak against an address, and the well-known ones."""
    removal = dict(WELL_KNOWN)
    own = [BlockList(one, removal.get(one.zone, "")) for one in rules.lists if one.score > 0]
    zones = {one.rules.zone for one in own}
    return (*own, *(BlockList(DnsList(zone=zone), page) for zone, page in WELL_KNOWN if zone not in zones))


def question(address: IpAddress, zone: str) -> str:
    """Return the name to ask a list for."""
    # RFC 5782 §2.1, §2.4: the octets of IPv4, or the nibbles of IPv6, reversed and before the zone.
    return f"{address.reverse_pointer.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


def look_up(address: IpAddress, block_list: BlockList, lookup: Lookup) -> Listing:
    """Return what a list says of an address. Raises nothing but what `lookup` leaves by."""
    zone = block_list.rules.zone
    try:
        said = _answers(address, zone, lookup)
        scores = [block_list.rules.score_of(answer) for answer in said]
        if any(score is None for score in scores):
            # RFC 5782 §2.1: an error of the list, such as the refusal of a resolver that asks too much.
            return Listing(block_list, Word.DEAD, f"answers {said[0]}")
        if any(score is not None and score > 0 for score in scores):
            texts = lookup(question(address, zone), "TXT").texts()
            return Listing(
                block_list, Word.LISTED, plain(texts[0].decode("utf-8", "replace")) if texts else str(said[0])
            )
        # RFC 5782 §5: 127.0.0.2 must be listed; a list that does not list it is dead.
        alive = [block_list.rules.score_of(answer) for answer in _answers(_MUST_BE_LISTED, zone, lookup)]
        if block_list.rules.probe and (not alive or None in alive):
            return Listing(block_list, Word.DEAD, f"does not list {_MUST_BE_LISTED}")
    except (DnsTemporary, BadName):
        return Listing(block_list, Word.DEAD, "no answer")
    return Listing(block_list, Word.CLEAN)


def judge_listings(address: IpAddress, listings: Sequence[Listing]) -> list[Check]:
    """Return what the lists say of an address."""
    listed = [_listed(address, one) for one in listings if one.word is Word.LISTED]
    dead = [f"{one.block_list.rules.zone} ({one.text})" for one in listings if one.word is Word.DEAD]
    clean = sum(one.word is Word.CLEAN for one in listings)
    silent = f"; without a usable answer: {', '.join(dead)}" if dead else ""
    if listed:
        return listed
    if not clean:
        text = f"no list says anything of {address}{silent}"
        return [unknown(Topic.BLOCK_LISTS, text, "ask through a resolver of your own: lists refuse public ones")]
    return [ok(Topic.BLOCK_LISTS, f"{address} is on none of {clean} lists{silent}")]


def _listed(address: IpAddress, listing: Listing) -> Check:
    zone, page = listing.block_list.rules.zone, listing.block_list.removal
    where = page or f"the page of {zone}"
    mend = f"find what sent the spam (gatepost trace), stop it, then ask for removal at {where}"
    return wrong(Topic.BLOCK_LISTS, f"{address} is on {zone}: {listing.text}", mend)


def _answers(address: IpAddress, zone: str, lookup: Lookup) -> list[IPv4Address]:
    return [IPv4Address(text) for text in lookup(question(address, zone), "A").addresses()]
