"""What a message becomes before it is split by hop."""

from dataclasses import replace

import pytest

from services.delivery.expand import Expansion, expand, orcpt_of
from shared.address import Address, parse_address
from shared.envelope import Client, Direction, Envelope, Notify, Recipient
from shared.policy import parse_policy
from shared.rewriting import batv, srs
from shared.rewriting.keys import RewritingKeys, keys_of

KEYS = keys_of(["a secret of sixteen"])
NOW = 20_000 * 86_400.0
BOUNCES = 864_000.0
TEXT = """
[domains."ours.test"]
route = "smtp://127.0.0.1:2500"
recipients = ["anna", "bob"]
[domains."ours.test".aliases]
all = ["anna", "bob", "eve@away.test"]
eve = "eve@away.test"
us = ["anna", "Bob"]
jo = "jö@away.test"
[domains."signs.test"]
route = "smtp://127.0.0.1:2500"
recipients = ["sam"]
batv = "sign"
[domains."same.test"]
same_as = "ours.test"
"""
POLICY = parse_policy(TEXT)
SUCCESS, FAILURE, DELAY, NEVER = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY, Notify.NEVER


def mail(*recipients: str | Recipient, sender: str = "x@else.test", outbound: bool = False) -> Envelope:
    return Envelope(
        id="0" * 26,
        received_at=NOW - 60,
        listener="mx",
        direction=Direction.OUTBOUND if outbound else Direction.INBOUND,
        client=Client("192.0.2.1", 1, "x"),
        sender=sender,
        recipients=tuple(one if isinstance(one, Recipient) else Recipient(one) for one in recipients),
        size_bytes=1,
    )


def expanded(*recipients: str | Recipient, sender: str = "x@else.test", outbound: bool = False) -> Expansion:
    return expand(mail(*recipients, sender=sender, outbound=outbound), POLICY, KEYS, NOW)


def copies(expansion: Expansion) -> dict[str, list[str]]:
    assert all(one.expanded for one in expansion.envelopes)
    return {one.sender: [recipient.address for recipient in one.recipients] for one in expansion.envelopes}


def test_what_leads_to_itself_is_left_as_it_is() -> None:
    envelope = mail("a@away.test", "b@else.test", "anna@ours.test")
    assert expand(envelope, POLICY, KEYS, NOW) == Expansion((replace(envelope, expanded=True),))


def test_what_is_sent_on_leaves_under_a_sender_that_leads_back() -> None:
    expansion = expanded("all@ours.test", "bob@ours.test")
    (kept, local), (anew, away) = copies(expansion).items()
    assert (kept, local, away) == ("x@else.test", ["anna@ours.test", "bob@ours.test"], ["eve@away.test"])
    assert parse_address(anew).domain == "ours.test"
    back = srs.reverse(parse_address(anew).local_part, KEYS, NOW, BOUNCES)
    assert back == Address("x", "else.test")
    assert [(one.recipient, one.to, one.by) for one in expansion.recipients] == [
        ("all@ours.test", "anna@ours.test", "alias"),
        ("all@ours.test", "bob@ours.test", "alias"),
        ("all@ours.test", "eve@away.test", "alias"),
    ]


@pytest.mark.parametrize(
    ("sender", "outbound", "extra"),
    [
        ("", False, ""),
        ("anna@ours.test", False, ""),
        ("x@else.test", True, ""),
        ("x@else.test", False, "forwarding.srs = false\n"),
    ],
)
def test_whose_sender_is_kept(sender: str, outbound: bool, extra: str) -> None:
    envelope = mail("eve@ours.test", sender=sender, outbound=outbound)
    expansion = expand(envelope, parse_policy(extra + TEXT), KEYS, NOW)
    assert copies(expansion) == {sender: ["eve@away.test"]}


def test_the_policy_may_name_the_domain_of_such_senders() -> None:
    policy = parse_policy('forwarding.srs_domain = "signs.test"\n' + TEXT)
    (sender,) = copies(expand(mail("eve@ours.test"), policy, KEYS, NOW))
    assert parse_address(sender).domain == "signs.test"


@pytest.mark.parametrize(("bounces_s", "to"), [(86_400, "SRS0="), (864_000, "jo@away.test")])
def test_bounces_find_back_for_as_long_as_the_policy_says(bounces_s: int, to: str) -> None:
    made = srs.forward(Address("jo", "away.test"), "ours.test", KEYS, NOW - 5 * 86_400)
    policy = parse_policy(f"forwarding.bounces_s = {bounces_s}\n" + TEXT)
    (recipient,) = copies(expand(mail(str(made), sender=""), policy, KEYS, NOW))[""]
    assert recipient.startswith(to)


def test_a_bounce_finds_back_though_it_was_long_under_way() -> None:
    made = srs.forward(Address("jo", "away.test"), "ours.test", KEYS, NOW - 60 - BOUNCES)
    expansion = expand(mail(str(made), sender=""), POLICY, KEYS, NOW + 5 * 86_400)
    assert copies(expansion) == {"": ["jo@away.test"]}


def test_a_sender_of_ours_is_tagged_for_those_outside_alone() -> None:
    expansion = expanded("a@away.test", "anna@ours.test", sender="sam@signs.test", outbound=True)
    (tagged, away), (kept, local) = copies(expansion).items()
    assert (kept, away, local) == ("sam@signs.test", ["a@away.test"], ["anna@ours.test"])
    found = batv.untag(parse_address(tagged), KEYS, NOW, BOUNCES)
    assert found is not None
    assert found.proven
    again = expanded("a@away.test", sender=tagged, outbound=True)
    assert copies(again) == {tagged: ["a@away.test"]}


@pytest.mark.parametrize("sender", ["anna@ours.test", "", f"{'a' * 60}@signs.test"])
def test_who_goes_without_a_tag(sender: str) -> None:
    assert copies(expanded("a@away.test", sender=sender, outbound=True)) == {sender: ["a@away.test"]}


def test_a_bounce_to_a_tag_gets_to_its_address() -> None:
    tagged = batv.tag(Address("sam", "signs.test"), KEYS, NOW, BOUNCES)
    assert copies(expanded(str(tagged), sender="", outbound=True)) == {"": ["sam@signs.test"]}


def test_a_domain_that_is_the_same_is_delivered_there() -> None:
    (envelope,) = expanded("anna@same.test").envelopes
    assert envelope.recipients == (Recipient("anna@ours.test", orcpt="rfc822;anna@same.test"),)


def test_without_a_secret_only_what_needs_it_waits() -> None:
    envelope = mail("all@ours.test", "us@ours.test")
    expansion = expand(envelope, POLICY, RewritingKeys(), NOW)
    assert [one.address for one in expansion.deferred] == ["all@ours.test"]
    assert copies(expansion) == {"x@else.test": ["anna@ours.test", "Bob@ours.test"]}
    assert "sender is to be written anew" in expansion.problem
    outbound = mail("a@away.test", sender="sam@signs.test", outbound=True)
    assert expand(outbound, POLICY, RewritingKeys(), NOW).envelopes == ()


def test_who_is_no_longer_known_is_left_to_the_next_hop() -> None:
    assert copies(expanded("all@ours.test", "gone@ours.test", sender=""))[""][-1] == "gone@ours.test"
    assert copies(expanded("eve@ours.test", "SRS0=aaaaaaaa=aa=b=c@ours.test", sender=""))[""][-1].startswith("SRS0=")


@pytest.mark.parametrize(
    ("asked", "several", "copies_ask"),
    [
        ((), False, ()),
        ((SUCCESS,), True, (NEVER,)),
        ((SUCCESS, FAILURE), True, (FAILURE,)),
        ((FAILURE,), False, (FAILURE,)),
        ((NEVER,), False, (NEVER,)),
    ],
)
def test_of_an_alias_for_several_success_is_told_once(
    asked: tuple[Notify, ...], several: bool, copies_ask: tuple[Notify, ...]
) -> None:
    recipient = Recipient("us@ours.test", asked, "rfc822;first@list.test")
    expansion = expanded(recipient)
    assert expansion.expanded == ((recipient,) if several else ())
    (envelope,) = expansion.envelopes
    assert {(one.notify, one.orcpt) for one in envelope.recipients} == {(copies_ask, "rfc822;first@list.test")}


def test_of_an_alias_for_one_all_that_was_asked_for_goes_on() -> None:
    (envelope,) = expanded(Recipient("eve@ours.test", (SUCCESS, DELAY))).envelopes
    assert envelope.recipients == (Recipient("eve@away.test", (SUCCESS, DELAY), "rfc822;eve@ours.test"),)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ((), (), ()),
        ((NEVER,), (NEVER,), (NEVER,)),
        ((NEVER,), (DELAY,), (DELAY,)),
        ((), (NEVER,), (FAILURE, DELAY)),
        ((FAILURE,), (DELAY,), (FAILURE, DELAY)),
    ],
)
def test_whoever_is_reached_twice_gets_one_copy(
    one: tuple[Notify, ...], other: tuple[Notify, ...], wanted: tuple[Notify, ...]
) -> None:
    (envelope,) = expanded(Recipient("bob@ours.test", one), Recipient("us@ours.test", other)).envelopes
    assert [recipient.address for recipient in envelope.recipients] == ["bob@ours.test", "anna@ours.test"]
    assert envelope.recipients[0].notify == wanted


def test_a_target_that_needs_smtputf8_makes_the_message_ask_for_it() -> None:
    (envelope,) = expanded("jo@ours.test", sender="").envelopes
    assert envelope.smtputf8


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a+b=c@ours.test", "rfc822;a+2Bb+3Dc@ours.test"),
        ('"a b"@ours.test', 'rfc822;"a+20b"@ours.test'),
        ("jö+x@ours.test", "utf-8;j\\x{F6}\\x{2B}x@ours.test"),
        ("ö" * 200 + "@ours.test", None),
    ],
)
def test_the_original_recipient_is_named_in_a_form_that_any_server_takes(address: str, expected: str | None) -> None:
    assert orcpt_of(address) == expected
