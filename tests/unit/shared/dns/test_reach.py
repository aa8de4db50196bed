"""Rules of which addresses DNS may lead to."""

from ipaddress import ip_address

import pytest

from shared.dns.reach import is_of_this_machine, is_public, may_connect

PUBLIC = "93.184.215.14"


@pytest.mark.parametrize("address", [PUBLIC, "2001:503:ba3e::2:30", f"::ffff:{PUBLIC}", "64:ff9b::5db8:d70e"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "224.0.0.1", "::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"],
)
def test_special_addresses_are_not_connected_to(address: str) -> None:
    assert not may_connect(address)


def test_this_machine_knows_its_own_addresses() -> None:
    assert is_of_this_machine("127.0.0.1")
    assert not is_of_this_machine(PUBLIC)
