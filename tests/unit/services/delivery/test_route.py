"""Recipients fall into parts by their next hop."""

from services.delivery.route import Part, hop_of, split
from shared.envelope import Recipient
from shared.policy import parse_policy

POLICY = parse_policy(
    """
[domains."one.example"]
route = "smtp://mail.one.example"
recipients = "any"
[domains."two.example"]
route = "smtp://mail.one.example:25"
recipients = "any"
[domains."three.example"]
route = "lmtp:/run/lmtp"
recipients = "any"
"""
)


def _recipients(*addresses: str) -> tuple[Recipient, ...]:
    return tuple(map(Recipient, addresses))


def _addresses(parts: tuple[Part, ...]) -> list[tuple[str, list[str]]]:
    return [(part.hop.key, [to.address for to in part.recipients]) for part in parts]


def test_domains_of_one_route_share_a_hop() -> None:
    parts = split(_recipients("a@one.example", "b@two.example", "c@ONE.example"), POLICY)
    assert _addresses(parts) == [("smtp://mail.one.example:25", ["a@one.example", "b@two.example", "c@ONE.example"])]


def test_domains_found_by_mx_are_hops_of_their_own() -> None:
    parts = split(_recipients("a@x.example", "b@y.example", "c@x.example", "d@three.example"), POLICY)
    assert _addresses(parts) == [
        ("mx:x.example", ["a@x.example", "c@x.example"]),
        ("mx:y.example", ["b@y.example"]),
        ("lmtp:/run/lmtp", ["d@three.example"]),
    ]


def test_more_than_100_recipients_are_several_transactions() -> None:
    parts = split(_recipients(*(f"u{n}@one.example" for n in range(250))), POLICY)
    assert [len(part.recipients) for part in parts] == [100, 100, 50]


def test_parts_of_a_split_are_not_split_again() -> None:
    whole = _recipients("a@x.example", *(f"u{n}@one.example" for n in range(150)))
    for part in split(whole, POLICY):
        assert split(part.recipients, POLICY) == (part,)


def test_the_key_of_a_hop_names_it() -> None:
    assert hop_of("x.example", POLICY).key == "mx:x.example"
    assert hop_of("one.example", POLICY).key == "smtp://mail.one.example:25"


def test_internationalized_addresses_travel_apart() -> None:
    parts = split(_recipients("a@one.example", "ü@one.example", "b@one.example"), POLICY)
    assert [[to.address for to in part.recipients] for part in parts] == [
        ["a@one.example", "b@one.example"],
        ["ü@one.example"],
    ]


def test_a_domain_in_u_labels_has_the_route_of_its_a_labels() -> None:
    policy = parse_policy('[domains."bücher.example"]\nroute = "smtp://b.example"\nrecipients = "any"\n')
    assert hop_of("bücher.example", policy) == hop_of("xn--bcher-kva.example", policy)
    assert hop_of("bücher.example", policy).key == "smtp://b.example:25"
