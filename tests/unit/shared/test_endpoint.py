"""Addresses of engines: a host and a port, or a socket."""

import re

import pytest

from shared.endpoint import Tcp, Unix, checked_address, parse_address, parse_tcp


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:3310", Tcp("127.0.0.1", 3310)),
        ("clamav:3310", Tcp("clamav", 3310)),
        ("[::1]:3310", Tcp("::1", 3310)),
        ("/run/clamav/clamd.ctl", Unix("/run/clamav/clamd.ctl")),
    ],
)
def test_an_address_is_one_of_three_kinds(text: str, address: Tcp | Unix) -> None:
    assert parse_address(text) == address
    assert checked_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "clamav", "clamav:", ":3310", "::1:3310", "a:0", "a:65536", "a:x", "a:１", "x.sock"]
)
def test_anything_else_is_named_as_wrong(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        parse_address(text)


def test_a_service_of_tcp_alone_has_no_path() -> None:
    assert parse_tcp("[::1]:783") == Tcp("::1", 783)
    for text in ("/run/spamd.sock", "host", "host:0"):
        with pytest.raises(ValueError, match=re.escape(text)):
            parse_tcp(text)
