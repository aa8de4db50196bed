"""Recipients that are to make the gateway relay, loop, or choke on what they lead to."""

import pytest

from services.delivery.expand import expand
from services.delivery.route import split
from shared.address import Address, parse_address
from shared.envelope import Envelope, Notify, Recipient
from shared.policy import Policy, parse_policy
from shared.rewriting import batv, srs
from shared.rewriting.keys import keys_of
from shared.rewriting.resolve import Placed, Resolution, Unknown, Why, resolve
from shared.wire import HEADERS_LIMIT_BYTES, mail_headers
from tests.unit.services.delivery.envelopes import envelope_of

KEYS = keys_of(["a secret of sixteen"])
NOW = 20_000 * 86_400.0
BOUNCES_S = 864_000
DOMAIN = """
[domains."ours.test"]
route = "smtp://127.0.0.1:2500"
recipients = ["anna"]
subaddress = "+"
"""
POLICY = parse_policy(f'{DOMAIN}\n[domains."ours.test".aliases]\naway = "eve@away.test"\n')


def _resolve(address: Address, policy: Policy = POLICY, *, null_sender: bool = True, later_s: float = 0) -> Resolution:
    return resolve(address, policy, KEYS, null_sender=null_sender, now=NOW + later_s)


def _written(sender: str) -> Address:
    made = srs.forward(parse_address(sender), "ours.test", KEYS, NOW)
    assert made is not None
    return made


def _why(resolution: Resolution) -> Why | None:
    return resolution.reason if isinstance(resolution, Unknown) else None


# -- SRS


@pytest.mark.parametrize("place", range(5, 40))
def test_an_srs_address_of_which_one_sign_was_changed_leads_nowhere(place: int) -> None:
    local = _written("ann@sender.test").local_part
    if place >= len(local):
        return
    changed = local[:place] + ("b" if local[place].lower() != "b" else "c") + local[place + 1 :]
    assert isinstance(_resolve(Address(changed, "ours.test")), Unknown)


@pytest.mark.parametrize(
    "local",
    [
        "SRS0=aaaaaaaa=aa=victim.test=bob",
        "srs0+aaaaaaaa=aa=victim.test=bob",
        "SRS0==aa=victim.test=bob",
        "SRS1=aaaaaaaa=victim.test==aaaa=aa=x.test=bob",
        '"SRS0=aaaaaaaa=aa=victim.test=bob"',
        '"SRS0=aaaaaaaa=aa=victim.test=@relay.test:bob"',
        # Signs whose small or capital letter is another: long s, dotless i, the Kelvin sign.
        "\u017fRS0=aaaaaaaa=aa=victim.test=bob",
        "SRS0=\u212aaaaaaaa=aa=victim.test=bob",
    ],
)
def test_a_forged_srs_address_leads_nowhere(local: str) -> None:
    assert isinstance(_resolve(Address(local, "ours.test")), Unknown)


def test_an_srs_address_is_good_in_the_domain_of_no_other_use() -> None:
    # SRS0's proof is none of SRS1's, nor the other way round.
    rest = _written("ann@sender.test").local_part[4:]
    assert isinstance(_resolve(Address(f"SRS1{rest}", "ours.test")), Unknown)


def test_who_has_seen_an_srs_address_can_send_bounces_there_for_some_days_and_nothing_else() -> None:
    written = _written("ann@sender.test")
    back = _resolve(written)
    assert isinstance(back, Placed)
    assert back.addresses == (parse_address("ann@sender.test"),)
    assert _why(_resolve(written, null_sender=False)) is Why.NOT_A_BOUNCE
    assert _why(_resolve(written, later_s=BOUNCES_S + 86_400)) is Why.SRS_EXPIRED


@pytest.mark.parametrize(
    "sender", ['"@a.test,@b.test:user"@sender.test', '"x@victim.test"@sender.test', '"a b"@s.test']
)
def test_what_looks_like_a_route_comes_back_as_the_very_address_that_it_was(sender: str) -> None:
    back = _resolve(_written(sender))
    assert isinstance(back, Placed)
    assert [str(address) for address in back.addresses] == [sender]


def test_a_sender_in_the_form_of_srs_can_lead_a_bounce_to_a_forwarder_alone() -> None:
    # Its own `SRS1` names a domain that we cannot know; what stands there begins with SRS0, and that server judges it.
    back = _resolve(_written("SRS1=aaaaaaaa=victim.test=bob@evil.test"))
    assert isinstance(back, Placed)
    assert all(address.local_part.startswith("SRS0") for address in back.addresses)


# -- BATV

TAGS = parse_policy(
    '[domains."tags.test"]\nroute = "smtp://127.0.0.1:2500"\nrecipients = ["anna", "bob"]\nbatv = "enforce"\n'
)


def _tagged(sender: str) -> Address:
    made = batv.tag(parse_address(sender), KEYS, NOW, BOUNCES_S)
    assert made is not None
    return made


def test_a_tag_of_one_is_of_no_use_to_another() -> None:
    stolen = _tagged("anna@tags.test").local_part.replace("anna", "bob")
    assert _why(_resolve(Address(stolen, "tags.test"), TAGS)) is Why.UNTAGGED


def test_a_tag_ends() -> None:
    tagged = _tagged("anna@tags.test")
    assert isinstance(_resolve(tagged, TAGS), Placed)
    # A day more, for the clocks; and not for ever, though days are counted modulo 1000.
    assert _why(_resolve(tagged, TAGS, later_s=BOUNCES_S + 2 * 86_400)) is Why.UNTAGGED


def test_a_tag_on_a_tag_is_none() -> None:
    twice = Address(f"prvs=0000000000={_tagged('anna@tags.test').local_part}", "tags.test")
    assert _why(_resolve(twice, TAGS)) is Why.UNTAGGED


# -- Aliases


def test_a_subaddress_follows_no_longer_chain_than_the_alias_that_was_checked() -> None:
    # Ten links, and the first names itself: as long as the check allows.
    links = {"a1": ["a1", "a2"], **{f"a{place}": [f"a{place + 1}"] for place in range(2, 10)}, "a10": ["x@away.test"]}
    tables = "".join(f"{name} = {targets!r}\n" for name, targets in links.items())
    policy = parse_policy(f'{DOMAIN}\n[domains."ours.test".aliases]\n{tables}')
    found = _resolve(parse_address("a1+news@ours.test"), policy)
    assert isinstance(found, Placed)
    assert {str(address) for address in found.addresses} == {"a1@ours.test", "x@away.test"}


@pytest.mark.parametrize("fan_out", [100, 1000])
@pytest.mark.parametrize("at_once", [100, 1000])
def test_whomever_an_alias_leads_to_their_envelopes_fit_a_frame(fan_out: int, at_once: int) -> None:
    # A sender who means harm writes as much ORCPT as there may be, in signs that JSON writes as two.
    orcpt = "rfc822;" + '"' * 493
    targets = [f"{'x' * 56}{number:04}@{'y' * 60}.{'z' * 60}.test" for number in range(fan_out)]
    more = f"[delivery]\nrecipients_per_transaction = {at_once}\n"
    policy = parse_policy(f'{more}{DOMAIN}\n[domains."ours.test".aliases]\nall = {targets!r}\n')
    envelope = envelope_of(Recipient("all@ours.test", orcpt=orcpt))
    (whole,) = expand(envelope, policy, KEYS, NOW).envelopes
    assert len(whole.recipients) == fan_out
    parts = split(whole.recipients, policy)
    assert sum(len(part.recipients) for part in parts) == fan_out
    for part in parts:
        assert len(mail_headers(whole.with_recipients(part.recipients))["envelope"]) < HEADERS_LIMIT_BYTES
        # What was split is not split again when it comes by the next time.
        assert len(split(part.recipients, policy)) == 1


def test_thirty_ways_to_one_mailbox_are_one_copy() -> None:
    tables = "".join(f'n{number} = "eve@away.test"\n' for number in range(30))
    policy = parse_policy(f'{DOMAIN}\n[domains."ours.test".aliases]\n{tables}')
    envelope = envelope_of(*(f"n{number}@ours.test" for number in range(30)), "N3@ours.test", "n4+x@ours.test")
    copies: list[Envelope] = list(expand(envelope, policy, KEYS, NOW).envelopes)
    to = [recipient.address for copy in copies for recipient in copy.recipients]
    assert to.count("eve@away.test") == 1


def test_an_alias_of_several_promises_nobody_a_report_of_each() -> None:
    policy = parse_policy(f'{DOMAIN}\n[domains."ours.test".aliases]\nall = ["a@x.test", "b@y.test"]\n')
    envelope = envelope_of(Recipient("all@ours.test", (Notify.SUCCESS,)))
    for copy in expand(envelope, policy, KEYS, NOW).envelopes:
        assert all(not recipient.wants(Notify.SUCCESS) for recipient in copy.recipients)
