"""Nameserver addresses, as in settings and in resolv.conf."""

from pathlib import Path

import pytest

from shared.dns.nameserver import Nameserver, new_query, parse_nameserver, system_nameservers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", Nameserver("192.0.2.1", 53, is_local=False)),
        ("192.0.2.1:5353", Nameserver("192.0.2.1", 5353, is_local=False)),
        ("127.0.0.53", Nameserver("127.0.0.53", 53, is_local=True)),
        ("2001:db8::1", Nameserver("2001:db8::1", 53, is_local=False)),
        ("[2001:db8::1]", Nameserver("2001:db8::1", 53, is_local=False)),
        ("[::1]:5353", Nameserver("::1", 5353, is_local=True)),
    ],
)
def test_an_address_is_read(text: str, expected: Nameserver) -> None:
    assert parse_nameserver(text) == expected
    assert parse_nameserver(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "ns.example.test", "192.0.2.1:0", "192.0.2.1:65536", "1.2.3"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a nameserver"):
        parse_nameserver(text)


def test_the_system_has_the_nameservers_of_resolv_conf(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text(
        "# nameserver 9.9.9.9\nsearch example.test\nnameserver 192.0.2.1\n nameserver\nnameserver\t::1 # x\n"
    )
    assert system_nameservers(conf) == ["192.0.2.1", "::1"]
    assert system_nameservers(tmp_path / "none") == []


def test_queries_ask_for_recursion_and_validation_with_changing_ids() -> None:
    queries = [new_query("example.test", "TXT") for _ in range(50)]
    assert len({query.id for query in queries}) > 40
    assert all(query.flags == 0x0120 for query in queries)
