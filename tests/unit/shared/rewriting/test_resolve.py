"""Who gets the mail of a recipient, as tables."""

import pytest

from shared.address import parse_address
from shared.policy import Policy, PolicyError, parse_policy
from shared.rewriting import batv, srs
from shared.rewriting.keys import RewritingKeys, keys_of
from shared.rewriting.resolve import Ask, By, Placed, Resolution, Unknown, Why, is_plain, resolve

KEYS = keys_of(["a secret of sixteen"])
NOW = 20_000 * 86_400.0
BOUNCES = 864_000
POLICY = parse_policy(
    """
[domains."ours.test"]
route = "smtp://127.0.0.1:2500"
recipients = ["anna", "bob", "team-*", "sales"]
subaddress = "+"
catch_all = "rest@box.test"
[domains."ours.test".aliases]
sales = ["anna", "bob", "eve@away.test"]
info = "Sales"
keep = ["keep", "anna"]
postmaster = "anna"
"bob+news" = "news@away.test"
ring = "ring2"
ring2 = "ring"
ghost = "nobody.listed"
"odd%name" = "anna"
[domains."box.test"]
route = "maildir:mail"
recipients = ["rest", "anna"]
subaddress = "-"
[domains."same.test"]
same_as = "box.test"
[domains."apart.test"]
same_as = "box.test"
route = "maildir:elsewhere"
[domains."plain.test"]
route = "mx"
recipients = ["anna"]
[domains."asked.test"]
route = "smtp://127.0.0.1:2500"
recipients = "verified"
subaddress = "+"
aliases = {sales = ["x@asked.test", "y@directory.test"]}
[domains."directory.test"]
route = "smtp://127.0.0.1:2500"
recipients = "ldap"
subaddress = "+"
[domains."tags.test"]
route = "mx"
recipients = ["anna", "postmaster", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
batv = "enforce"
[domains."signs.test"]
route = "mx"
recipients = ["anna"]
batv = "sign"
"""
)


def who(address: str, *, null_sender: bool = False, keys: RewritingKeys = KEYS, policy: Policy = POLICY) -> Resolution:
    return resolve(parse_address(address), policy, keys, null_sender=null_sender, now=NOW)


def to(resolution: Resolution) -> list[str]:
    assert isinstance(resolution, Placed), resolution
    return [str(address) for address in resolution.addresses]


@pytest.mark.parametrize(
    ("recipient", "expected", "by"),
    [
        ("x@away.test", ["x@away.test"], ()),
        ("anna@ours.test", ["anna@ours.test"], ()),
        ("Anna@ours.test", ["Anna@ours.test"], ()),
        ("team-a@ours.test", ["team-a@ours.test"], ()),
        ("anna+news@ours.test", ["anna+news@ours.test"], ()),
        ('"anna+a b"@ours.test', ['"anna+a b"@ours.test'], ()),
        ("sales@ours.test", ["anna@ours.test", "bob@ours.test", "eve@away.test"], (By.ALIAS,)),
        ("SALES+x@ours.test", ["anna@ours.test", "bob@ours.test", "eve@away.test"], (By.ALIAS,)),
        ("info@ours.test", ["anna@ours.test", "bob@ours.test", "eve@away.test"], (By.ALIAS,)),
        ("bob+news@ours.test", ["news@away.test"], (By.ALIAS,)),
        ("bob+other@ours.test", ["bob+other@ours.test"], ()),
        ("keep@ours.test", ["keep@ours.test", "anna@ours.test"], (By.ALIAS,)),
        ("ring@ours.test", ["ring@ours.test"], (By.ALIAS,)),
        ("ghost@ours.test", ["rest@box.test"], (By.ALIAS,)),
        ("postmaster@ours.test", ["anna@ours.test"], (By.ALIAS,)),
        ("abuse@ours.test", ["abuse@ours.test"], ()),
        ("who@ours.test", ["rest@box.test"], (By.CATCH_ALL,)),
        ("+x@ours.test", ["rest@box.test"], (By.CATCH_ALL,)),
        ("anna-x@box.test", ["anna@box.test"], (By.SUBADDRESS,)),
        ("anna@same.test", ["anna@box.test"], (By.SAME_AS,)),
        ("anna-x@same.test", ["anna@box.test"], (By.SAME_AS, By.SUBADDRESS)),
        ("postmaster@same.test", ["postmaster@box.test"], (By.SAME_AS,)),
        ("anna@apart.test", ["anna@apart.test"], ()),
        ("sales@asked.test", ["x@asked.test", "y@directory.test"], (By.ALIAS,)),
        ("prvs=0123abcdef=anna@ours.test", ["rest@box.test"], (By.CATCH_ALL,)),
        ("prvs=0123abcdef=anna@signs.test", ["anna@signs.test"], (By.BATV,)),
        ("prvs=0123abcdef=anna@tags.test", ["anna@tags.test"], (By.BATV,)),
    ],
)
def test_recipients(recipient: str, expected: list[str], by: tuple[By, ...]) -> None:
    found = who(recipient)
    assert to(found) == expected
    assert isinstance(found, Placed)
    assert found.by == by


@pytest.mark.parametrize("recipient", ["bob@plain.test", "anna+x@plain.test", "who@box.test", "who@same.test"])
def test_nobody(recipient: str) -> None:
    assert who(recipient) == Unknown(Why.NOBODY)


@pytest.mark.parametrize(
    ("recipient", "asked", "placed"),
    [
        ("bob@asked.test", "bob@asked.test", "bob@asked.test"),
        ("bob+x@asked.test", "bob+x@asked.test", "bob+x@asked.test"),
        ("bob+x@directory.test", "bob@directory.test", "bob+x@directory.test"),
    ],
)
def test_who_is_asked_for(recipient: str, asked: str, placed: str) -> None:
    found = who(recipient)
    assert isinstance(found, Ask)
    assert str(found.address) == asked
    assert to(found.placed) == [placed]


def test_postmaster_is_taken_without_asking() -> None:
    assert to(who("postmaster@asked.test")) == ["postmaster@asked.test"]


def bounce_to(sender: str, domain: str = "ours.test", now: float = NOW) -> str:
    address = srs.forward(parse_address(sender), domain, KEYS, now)
    assert address is not None
    return str(address)


def test_a_bounce_goes_back_to_the_sender_of_what_was_sent_on() -> None:
    found = who(bounce_to("jo@away.test"), null_sender=True)
    assert to(found) == ["jo@away.test"]
    assert found == Placed(found.places, (By.SRS,))  # type: ignore[union-attr]
    assert to(who(bounce_to("sales@ours.test"), null_sender=True))[0] == "anna@ours.test"


def test_srs_addresses_take_bounces_alone() -> None:
    assert who(bounce_to("jo@away.test")) == Unknown(Why.NOT_A_BOUNCE)


def test_where_mail_is_sent_on_false_srs_is_refused_and_elsewhere_it_is_a_recipient_like_others() -> None:
    assert who("SRS0=abcdefgh=aa=away.test=jo@ours.test", null_sender=True) == Unknown(Why.SRS_FORGED)
    assert who("SRS0=abcdefgh=aa=away.test=jo@plain.test", null_sender=True) == Unknown(Why.NOBODY)
    assert isinstance(who("SRS0=abcdefgh=aa=away.test=jo@directory.test", null_sender=True), Ask)
    old = bounce_to("jo@away.test", now=NOW - 20 * 86_400)
    assert who(old, null_sender=True) == Unknown(Why.SRS_EXPIRED)


def test_without_a_secret_it_is_not_known_now() -> None:
    none = RewritingKeys()
    assert who(bounce_to("jo@away.test"), null_sender=True, keys=none) == Unknown(Why.NO_SECRET)
    assert who("SRS0=x@plain.test", null_sender=True, keys=none) == Unknown(Why.NOBODY)
    assert who("anna@tags.test", null_sender=True, keys=none) == Unknown(Why.NO_SECRET)
    assert to(who("anna@tags.test", keys=none)) == ["anna@tags.test"]


def test_where_it_is_enforced_bounces_need_a_tag_that_holds() -> None:
    sender = parse_address("anna@tags.test")
    good = batv.tag(sender, KEYS, NOW, BOUNCES)
    assert to(who(str(good), null_sender=True)) == ["anna@tags.test"]
    assert who("anna@tags.test", null_sender=True) == Unknown(Why.UNTAGGED)
    assert who("prvs=0123abcdef=anna@tags.test", null_sender=True) == Unknown(Why.UNTAGGED)
    assert to(who("anna@tags.test")) == ["anna@tags.test"]
    assert to(who("postmaster@tags.test", null_sender=True)) == ["postmaster@tags.test"]
    # Too long for a tag.
    assert to(who(f"{'a' * 54}@tags.test", null_sender=True))
    assert to(who("anna@signs.test", null_sender=True)) == ["anna@signs.test"]


def test_a_tag_is_taken_off_even_when_they_are_no_longer_made() -> None:
    good = batv.tag(parse_address("anna@plain.test"), KEYS, NOW, BOUNCES)
    assert to(who(str(good), null_sender=True)) == ["anna@plain.test"]


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("x@away.test", True),
        ("x@AWAY.test", False),
        ("x@[192.0.2.1]", True),
        ("x@über.test", False),
        ("anna@plain.test", True),
        ("SRS0=x@plain.test", False),
        ("prvs=x@plain.test", False),
        ('"SRS0=x"@plain.test', False),
        ("anna@ours.test", False),
        ("anna@same.test", False),
    ],
)
def test_what_leads_to_itself_at_a_glance(address: str, plain: bool) -> None:
    assert is_plain(address, POLICY) is plain


def chain(links: int) -> str:
    lines = "\n".join(f'a{one} = "a{one + 1}"' for one in range(links))
    return f'[domains."a.test"]\nroute = "mx"\nrecipients = []\n[domains."a.test".aliases]\n{lines}\n'


def test_chains_of_aliases_have_an_end() -> None:
    assert to(who("a0@a.test", policy=parse_policy(chain(10)))) == ["a10@a.test"]
    with pytest.raises(PolicyError, match=r"domains\.a\.test\.aliases\.a0 leads over more than 10 aliases"):
        parse_policy(chain(11))


def test_an_alias_leads_to_a_bounded_number() -> None:
    many = ", ".join(f'"x{one}@away.test"' for one in range(600))
    more = ", ".join(f'"y{one}@away.test"' for one in range(600))
    text = f'[domains."a.test"]\nroute = "mx"\nrecipients = []\naliases = {{one = [{many}], two = [{more}]'
    assert len(to(who("one@a.test", policy=parse_policy(text + "}")))) == 600
    with pytest.raises(PolicyError, match=r"aliases\.both leads to more than 1000 addresses"):
        parse_policy(text + ', both = ["one", "two"]}')


def test_aliases_that_meet_again_are_followed_once() -> None:
    levels = "\n".join(
        f'l{one} = ["l{one + 1}", "m{one + 1}"]\nm{one} = ["l{one + 1}", "m{one + 1}"]' for one in range(9)
    )
    policy = parse_policy(f'[domains."a.test"]\nroute = "mx"\nrecipients = []\n[domains."a.test".aliases]\n{levels}')
    assert to(who("l0@a.test", policy=policy)) == ["l9@a.test", "m9@a.test"]


@pytest.mark.parametrize(
    ("aliases", "wrong"),
    [
        ('Sales = "a"\nsales = "b"', "the same local part"),
        ('"x*" = "a"', "an alias is a local part, without"),
        ('x = "a b"', "is not a local part"),
        ("x = []", "at least 1"),
        ('x = "a@-"', "is not a domain name"),
    ],
)
def test_aliases_that_cannot_be_are_named(aliases: str, wrong: str) -> None:
    with pytest.raises(PolicyError, match=wrong):
        parse_policy(f'[domains."a.test"]\nroute = "mx"\nrecipients = []\n[domains."a.test".aliases]\n{aliases}')
