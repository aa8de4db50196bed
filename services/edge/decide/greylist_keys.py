"""Under which keys greylisting remembers (PURE).

Owns: what is one and the same sender, recipient and network to greylisting. Addresses are hashed, so that each key has
a bounded length and the shared state holds nobody's address book.
Output: keys of `State`, all beginning with `greylist:`.
Standards: RFC 6647 §5 (networks, not addresses), §7 (IPv6).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from shared.address import canonical_local_part
from shared.policy.client import network_of, plain_ip

_DIGITS = re.compile(r"\d+")
# The signature of a bounce address (BATV): prvs=0123abcdef=user.
_SIGNED = re.compile(r"prvs=[^=]{1,20}=")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one try. contact: that one of ours wrote first. clean: the sender's domain; none for the null one."""

    attempt: str
    network: str
    contact: str
    clean: str | None

    @property
    def all(self) -> list[str]:
        """Return them in the order of the fields."""
        keys = [self.attempt, self.network, self.contact]
        return keys if self.clean is None else [*keys, self.clean]


def keys_of(address: str, sender: str, recipient: str) -> Keys:
    """Return the keys of a try. address: the client's. sender: empty for the null reverse-path."""
    network = network_text(address)
    domain = domain_of(sender)
    return Keys(
        attempt=f"greylist:try:{_hash(network, _steady(sender), _plain(recipient))}",
        network=network_key(address),
        contact=wrote_key(sender, domain_of(recipient)) if sender else sent_key(recipient),
        clean=clean_key(domain) if sender else None,
    )


def network_key(address: str) -> str:
    """Return the key of how much clean mail a client's network has sent."""
    return f"greylist:network:{network_text(address)}"


def clean_key(domain: str) -> str:
    """Return the key of a sender's domain that passed SPF and whose mail was judged clean."""
    return f"greylist:clean:{domain}"


def wrote_key(correspondent: str, domain: str) -> str:
    """Return the key of a correspondent to whom somebody in a domain of ours wrote."""
    return f"greylist:wrote:{_hash(_plain(correspondent), domain)}"


def sent_key(user: str) -> str:
    """Return the key of a user of ours who sent mail lately."""
    return f"greylist:sent:{_hash(_plain(user))}"


def domain_of(address: str) -> str:
    """Return the domain of an address, empty for the null sender."""
    return address.rpartition("@")[2].lower()


@lru_cache(maxsize=4096)
def network_text(address: str) -> str:
    """Return a client's network: its /24, or its /64."""
    return str(network_of(plain_ip(address)))


def _plain(address: str) -> str:
    local_part, _, domain = address.rpartition("@")
    return f"{canonical_local_part(local_part)}@{domain}".lower()


def _steady(sender: str) -> str:
    """Return what stays of a sender whose bounce addresses differ from message to message.

    `prvs=1234abcdef=news`, `news+4711` and `bounce-4711-bob` are known by what is neither a tag nor a number.
    """
    local_part, _, domain = sender.lower().rpartition("@")
    return f"{_DIGITS.sub('#', _SIGNED.sub('', local_part, count=1).partition('+')[0])}@{domain}"


def _hash(*texts: str) -> str:
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
