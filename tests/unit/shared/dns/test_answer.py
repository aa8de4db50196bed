"""Answers: typed access to what the DNS said."""

import pytest

from shared.dns.answer import MX, TLSA, Answer, DnsTemporary, Record

ONE_OF_EACH: list[tuple[str, tuple[Record, ...], str]] = [
    ("A", ("192.0.2.1",), "addresses"),
    ("AAAA", ("2001:db8::1",), "addresses"),
    ("TXT", (b"v=spf1 -all",), "texts"),
    ("MX", (MX(10, "mx.example.test"),), "mx"),
    ("PTR", ("host.example.test",), "names"),
    ("CNAME", ("host.example.test",), "names"),
    ("NS", ("ns.example.test",), "names"),
    ("SOA", ("ns.example.test",), "names"),
    ("TLSA", (TLSA(3, 1, 1, b"\x00" * 32),), "tlsa"),
]


@pytest.mark.parametrize(("rdtype", "records", "accessor"), ONE_OF_EACH)
def test_each_type_is_seen_by_its_own_accessor_only(rdtype: str, records: tuple[Record, ...], accessor: str) -> None:
    answer = Answer("example.test", rdtype, exists=True, records=records)
    for name in ("addresses", "texts", "mx", "names", "tlsa"):
        assert getattr(answer, name)() == (records if name == accessor else ())


def test_mail_exchanges_come_best_preference_first() -> None:
    answer = Answer("example.test", "MX", exists=True, records=(MX(20, "b"), MX(5, "z"), MX(20, "a")))
    assert answer.mx() == (MX(5, "z"), MX(20, "a"), MX(20, "b"))


def test_a_temporary_failure_names_the_question_and_the_cause() -> None:
    error = DnsTemporary("example.test", "TXT", "SERVFAIL")
    assert (error.name, error.rdtype, error.cause) == ("example.test", "TXT", "SERVFAIL")
    assert str(error) == "example.test TXT: SERVFAIL"
