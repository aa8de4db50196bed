"""Who may send to whom.

The matrix: no way of writing a recipient, at no listener, makes a stranger's mail go to a domain that is not ours.
"""

import pytest

from shared.event import EventKind
from tests.integration.edge.gate import Client, Gate, id_in, limited, policy

LISTED = '[relay]\nnetworks = ["127.0.0.0/8"]\n'


@pytest.mark.parametrize(
    "recipient, expected",
    [
        ("bob@ours.test", "250 2.1.5"),
        ("BOB@OURS.TEST", "250 2.1.5"),
        ("postmaster@ours.test", "250 2.1.5"),
        ("postmaster", "250 2.1.5"),
        ("PostMaster", "250 2.1.5"),
        ("odd%name@ours.test", "250 2.1.5"),
        ("nobody@ours.test", "550 5.1.1"),
        ("x%away.test@ours.test", "550 5.1.1"),
        ("whoever@any.test", "250 2.1.5"),
        ("x%away.test@any.test", "550 5.7.1"),
        ("away.test!x@any.test", "550 5.7.1"),
        ('"x@away.test"@any.test', "550 5.7.1"),
        ("x@away.test", "550 5.7.1"),
        ('"bob@ours.test"@away.test', "550 5.7.1"),
        ("bob@[127.0.0.1]", "550 5.7.1"),
        ("bob@sub.ours.test", "550 5.7.1"),
        ("@ours.test:x@away.test", "501 5.1.3"),
        ("bob@ours.test (comment)", "501 5."),
        ("", "501 5.1.3"),
        ("bob", "501 5.1.3"),
        ("bob@", "501 5.1.3"),
        ("bob@ours.test.", "501 5.1.3"),
        ("b\u00f6b@any.test", "501 5.1.3"),
    ],
)
async def test_a_stranger_reaches_known_recipients_of_our_domains_alone(
    edge: Gate, recipient: str, expected: str
) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        reply = await client.say(f"RCPT TO:<{recipient}>")
    assert reply.startswith(expected)


async def test_a_refusal_names_an_id_whose_event_tells_why(edge: Gate) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        reply = await client.say("RCPT TO:<nobody@ours.test>")
    ((known, kind, facts),) = edge.events.told
    assert (known, kind) == (id_in(reply), EventKind.COMMAND_REFUSED)
    assert facts["reason"] == "recipient-unknown"
    assert facts["recipient"] == "nobody@ours.test"
    assert facts["reply"] == reply


async def test_a_listed_client_may_relay_but_not_by_routed_local_parts(edge: Gate) -> None:
    edge.policy.policy = policy(LISTED)
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@ours.test>")
        assert (await client.say("RCPT TO:<y@away.test>")).startswith("250")
        assert (await client.say("RCPT TO:<y%z.test@away.test>")).startswith("550 5.7.1")
        assert (await client.say("RCPT TO:<nobody@ours.test>")).startswith("550 5.1.1")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    envelope = edge.publisher.mails[0].envelope
    assert (envelope.direction, envelope.proved) == ("outbound", "relay-list")


async def test_the_relay_listener_is_for_listed_hosts(edge: Gate) -> None:
    async with edge.client("relay") as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("550 5.7.1")
    edge.policy.policy = policy(LISTED)
    async with edge.client("relay") as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("250")


async def test_postmaster_without_a_domain_gets_ours(edge: Gate) -> None:
    async with edge.client() as client:
        await client.mail(b"x\r\n", "Postmaster")
    assert edge.publisher.mails[0].envelope.recipients[0].address == "postmaster@ours.test"


OURS = {"ours.test", "any.test"}
FOREIGN = [
    # Source routes, by our names and others'.
    *(
        "<@ours.test:y@away.test>",
        "<@ours.test,@away.test:y@away.test>",
        "<@away.test:bob@ours.test>",
        "<@:y@away.test>",
    ),
    *("<@ours.test@away.test>", "<@ours.test:@away.test:y@away.test>"),
    # Routed local parts, plain and quoted, at our domains and at others.
    *("<y%away.test@ours.test>", "<y%away.test@any.test>", "<y%away.test%x.test@any.test>", "<%away.test@any.test>"),
    *("<away.test!y@ours.test>", "<away.test!y@any.test>", "<away.test!x.test!y@any.test>", "<!y@any.test>"),
    *('<"y@away.test"@ours.test>', '<"y@away.test"@any.test>', '<"y%away.test"@any.test>', '<"away.test!y"@any.test>'),
    *('<"y\\@away.test"@any.test>', '<"y\\%away.test"@any.test>', '<"@ours.test:y@away.test"@any.test>'),
    *("<y%away.test@away.test>", "<ours.test!y@away.test>", '<"bob@ours.test"@away.test>', "<bob%ours.test@away.test>"),
    *("<y@away.test@ours.test>", "<y@away.test@any.test>", "<bob@ours.test@away.test>", "<y@away.test%any.test>"),
    # Address literals: of nobody, of this host, of others, in every form.
    *(
        "<y@[192.0.2.1]>",
        "<bob@[127.0.0.1]>",
        "<y@[IPv6:2001:db8::1]>",
        "<bob@[IPv6:::1]>",
        "<y@[IPv6:::ffff:127.0.0.1]>",
    ),
    *(
        "<y@127.0.0.1>",
        "<y@2130706433>",
        "<y@[2130706433]>",
        "<y@[away.test]>",
        "<y@[tag:away.test]>",
        "<y%[192.0.2.1]@any.test>",
    ),
    # Domains that look like ours.
    *("<bob@ours.test.>", "<bob@ours.test..>", "<bob@.ours.test>", "<bob@ours.test.away.test>", "<bob@sub.ours.test>"),
    *(
        "<bob@oursxtest>",
        "<bob@ours-test>",
        "<bob@xours.test>",
        "<bob@ours.testx>",
        "<bob@ours>",
        "<bob@test>",
        "<bob@>",
    ),
    *("<bob@ours.test .away.test>", "<bob@ours.test\\.away.test>", "<bob@ours.test/away.test>", "<bob@ours.test?>"),
    *(
        "<bob@\u043eurs.test>",
        "<bob@our\u0455.test>",
        "<bob@ours.te\u0455t>",
        "<bob@ours\u2024test>",
        "<bob@ours\u00b7test>",
    ),
    *("<bob@ours.test\u3002away.test>", "<bob@ours.test\uff0eaway.test>", "<bob@ours.test\uff61away\u3002test>"),
    *(
        "<bob@\u202eours.test>",
        "<bob@xn--ours.test>",
        "<bob@ours.xn--test>",
        "<bob@\u24d0way.test>",
        "<y@\uff41way\u3002test>",
    ),
    *("<y\uff20away.test@any.test>", "<bob\uff05away.test@away.test>", "<y\ufe6aaway.test@away.test>"),
    # Plainly elsewhere, in every case.
    *(
        "<y@away.test>",
        "<Y@AWAY.TEST>",
        "<y@aWaY.tEsT>",
        "<postmaster@away.test>",
        "<abuse@away.test>",
        '<"y"@away.test>',
    ),
    *(
        "<ours.test>",
        "<y>",
        "<>",
        "<postmaster@>",
        "< y@away.test>",
        "<y@away.test >",
        "<y@away.test>, <bob@ours.test>",
    ),
    *("y@away.test", "bob@ours.test <y@away.test>", "<bob@ours.test> <y@away.test>", "<bob@ours.test>y@away.test"),
    *("<bob@ours.test> ORCPT=rfc822;y@away.test", "<y@away.test> NOTIFY=NEVER", "<bob@ours.test(y@away.test)>"),
]


async def greet(client: Client, listener: str) -> None:
    """Introduce a stranger."""
    await client.hello()
    if listener in ("mx", "submission"):
        await client.start_tls()
        await client.say("EHLO client.test")


async def try_all(edge: Gate, client: Client, sender: str) -> None:
    """Try each recipient, and send a message to whichever was taken."""
    for recipient in FOREIGN:
        mailed = await client.say(f"MAIL FROM:<{sender}> SMTPUTF8")
        answer = await client.say(f"RCPT TO:{recipient}")
        if answer.startswith("250"):
            assert mailed.startswith("250")
            assert (await client.say("DATA")).startswith("354")
            await client.send("x\r\n.\r\n")
            await client.reply()
        else:
            assert answer[:3] in ("501", "503", "550", "555"), (recipient, answer)
            await client.say("RSET")
    for mail in edge.publisher.mails:
        for taken in mail.envelope.recipients:
            local_part, _, domain = taken.address.rpartition("@")
            assert domain in OURS, taken
            assert not set(local_part) & set("%!@"), taken


@pytest.mark.parametrize("sender", ["", "x@away.test", "alice@ours.test", "bob@ours.test", "postmaster@ours.test"])
@pytest.mark.parametrize("listener", ["mx", "chunked", "submission", "relay"])
async def test_a_stranger_never_relays(edge: Gate, listener: str, sender: str) -> None:
    generous(edge)
    async with edge.client(listener) as client:
        await greet(client, listener)
        await try_all(edge, client, sender)
    assert edge.publisher.mails == []


async def test_a_stranger_never_relays_within_implicit_tls(edge: Gate) -> None:
    generous(edge)
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        await try_all(edge, client, "alice@ours.test")
    assert edge.publisher.mails == []


@pytest.mark.parametrize(
    "line",
    [
        "PROXY TCP4 198.51.100.7 10.0.0.1 4711 25",
        "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25",
        "PROXY TCP6 ::ffff:198.51.100.7 ::1 4711 25",
        # Whatever looks like loopback, or like the relay list, in another family.
        "PROXY TCP6 ::1 ::1 4711 25",
        "PROXY TCP6 ::cb00:7109 ::1 4711 25",
        "PROXY TCP6 64:ff9b::203.0.113.9 ::1 4711 25",
        "PROXY TCP6 2002:cb00:7109::1 ::1 4711 25",
    ],
)
async def test_an_unlisted_client_behind_a_proxy_never_relays(edge: Gate, line: str) -> None:
    generous(edge, '[relay]\nnetworks = ["203.0.113.0/24", "127.0.0.0/8"]\n')
    async with edge.client("proxied") as client:
        await client.send(line + "\r\n")
        await client.hello()
        await try_all(edge, client, "x@away.test")
    assert edge.publisher.mails == []


@pytest.mark.parametrize(
    "address", ["TCP4 203.0.113.9 10.0.0.1", "TCP6 ::ffff:203.0.113.9 ::1", "TCP6 ::FFFF:CB00:7109 ::1"]
)
async def test_a_listed_client_is_itself_in_either_family(edge: Gate, address: str) -> None:
    generous(edge, '[relay]\nnetworks = ["203.0.113.0/24"]\n')
    async with edge.client("proxied") as client:
        await client.send(f"PROXY {address} 4711 25\r\n")
        await client.hello()
        await client.say("MAIL FROM:<x@ours.test>")
        assert (await client.say("RCPT TO:<y@away.test>")).startswith("250")


@pytest.mark.parametrize(
    "recipient",
    [
        "bob@ours\u3002test",
        "bob@ours\uff0etest",
        "bob@ours\uff61test",
        "BOB@\uff4f\uff55\uff52\uff53.test",
        "bob@ou\u00adrs.test",
    ],
)
async def test_a_domain_that_is_ours_in_other_signs_is_ours(edge: Gate, recipient: str) -> None:
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test> SMTPUTF8")
        assert (await client.say(f"RCPT TO:<{recipient}>")).startswith("250")
        await client.say("DATA")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    assert edge.publisher.mails[0].envelope.recipients[0].address.lower() == "bob@ours.test"


async def test_of_many_recipients_the_foreign_ones_are_refused_alone(edge: Gate) -> None:
    generous(edge)
    async with edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test> SMTPUTF8")
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
        for recipient in FOREIGN:
            await client.say(f"RCPT TO:{recipient}")
        assert (await client.say("DATA")).startswith("354")
        await client.send("x\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    assert [taken.address for taken in edge.publisher.mails[0].envelope.recipients] == ["bob@ours.test"]


def generous(edge: Gate, extra: str = "") -> None:
    """Let a session make as many errors as it likes."""
    limited(edge, extra, errors=1000, refused_recipients=1000, errors_before_delay=2000, commands=10_000)
