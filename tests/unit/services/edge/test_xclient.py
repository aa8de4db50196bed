"""What XCLIENT says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.session import Session
from services.edge.xclient import Introduction, XClientError, begin_anew, parse
from shared.accounts import Account
from shared.policy import Listener
from shared.policy.client import Certificate


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("ADDR=192.0.2.7", Introduction("192.0.2.7")),
        ("addr=192.0.2.7 port=4711", Introduction("192.0.2.7", 4711)),
        ("ADDR=IPV6:2001:DB8::7", Introduction("2001:db8::7")),
        ("ADDR=ipv6:2001:db8::7", Introduction("2001:db8::7")),
        ("ADDR=IPV6:::ffff:192.0.2.7", Introduction("192.0.2.7")),
        ("ADDR=192.0.2.7 NAME=mx.away.test", Introduction("192.0.2.7", name="mx.away.test")),
        ("ADDR=192.0.2.7 NAME=[UNAVAILABLE]", Introduction("192.0.2.7", name="")),
        ("ADDR=192.0.2.7 NAME=[TEMPUNAVAIL]", Introduction("192.0.2.7")),
        ("PORT=[UNAVAILABLE]", Introduction(port=0)),
        ("HELO=client.test PROTO=ESMTP", Introduction(helo="client.test", extended_smtp=True)),
        ("HELO=[192.0.2.1] PROTO=smtp", Introduction(helo="[192.0.2.1]", extended_smtp=False)),
        ("HELO=client+2Etest", Introduction(helo="client.test")),
        ("HELO=+5BUNAVAILABLE+5D", Introduction(helo="")),
        ("LOGIN=[UNAVAILABLE] ADDR=192.0.2.7", Introduction("192.0.2.7")),
        ("DESTADDR=192.0.2.1 DESTPORT=25", Introduction()),
        ("ADDR=[TEMPUNAVAIL]", Introduction()),
    ],
)
def test_attributes(argument: str, expected: Introduction) -> None:
    assert parse(argument) == expected


@pytest.mark.parametrize(
    "argument",
    [
        *("", "ADDR", "ADDR=", "=192.0.2.7", "NEW=1", "ADDR=192.0.2.7 ADDR=192.0.2.8", "LOGIN=alice@ours.test"),
        *("ADDR=192.0.2.256", "ADDR=192.0.02.7", "ADDR=2001:db8::7", "ADDR=IPV6:192.0.2.7", "ADDR=IPV6:fe80::1%eth0"),
        *("ADDR=0.0.0.0", "ADDR=224.0.0.1", "ADDR=client.test", "ADDR=192.0.2.7/24", "ADDR=+0D+0A"),
        *("PORT=0", "PORT=65536", "PORT=01", "PORT=x", "PORT=-1", "PROTO=LMTP", "PROTO=", "HELO=a b", "HELO=a+20b"),
        *("NAME=[192.0.2.7]", "NAME=[", "DESTADDR=IPV6:x"),
        *("NAME=a_b.test", "NAME=a+0D+0AMAIL", "HELO=x+", "HELO=x+zz", "HELO=" + "x" * 300, "NAME=b\u00f6b.test"),
        *("DESTADDR=x", "DESTPORT=0"),
    ],
)
def test_anything_else_is_refused(argument: str) -> None:
    with pytest.raises(XClientError):
        parse(argument)


@given(
    st.text(max_size=100)
    | st.lists(
        st.sampled_from(["ADDR=", "PORT=", "NAME=", "LOGIN=", "HELO=", "[UNAVAILABLE]", "192.0.2.7", "+0D", "x"])
    ).map(" ".join)
)
def test_no_text_breaks_the_parser(argument: str) -> None:
    try:
        client = parse(argument)
    except XClientError:
        return
    assert not client.port or 1 <= client.port <= 65_535


def test_the_session_begins_anew_and_keeps_what_the_connection_has() -> None:
    old = Session("mx", Listener(purpose="inbound"), "192.0.2.1", 25, host_name="proxy.test", extended_smtp=True)
    old.name, old.country, old.certificate, old.trusted = "proxy.test", "DE", Certificate("00", "CN=proxy"), True
    old.tls, old.commands, old.errors, old.messages, old.places = "TLSv1.3 X", 5, 2, 3, ("place:192.0.2.1",)
    new = begin_anew(old, Introduction("198.51.100.7", 4711))
    assert (new.address, new.port, new.name, new.country, new.certificate) == ("198.51.100.7", 4711, None, None, None)
    assert (new.host_name, new.extended_smtp, new.trusted, new.places, new.account) == ("", False, False, (), None)
    assert (new.tls, new.commands, new.errors, new.messages) == ("TLSv1.3 X", 5, 2, 3)


def test_without_a_new_address_the_name_stays() -> None:
    old = Session("mx", Listener(purpose="inbound"), "192.0.2.1", 25, name="proxy.test")
    assert begin_anew(old, Introduction(helo="client.test")).name == "proxy.test"
    assert begin_anew(old, Introduction(name="")).name == ""


def test_a_login_is_never_taken_over() -> None:
    old = Session("mx", Listener(purpose="inbound"), "192.0.2.1", 25)
    old.account = Account("alice@ours.test", "x")
    assert begin_anew(old, Introduction("198.51.100.7")).login is None
