"""Special names: answered without asking anyone."""

import pytest

from shared.dns.answer import Answer
from shared.dns.special import special_answer

REVERSE_6 = "1." + "0." * 31 + "ip6.arpa"


@pytest.mark.parametrize(
    ("name", "rdtype", "exists", "records"),
    [
        ("localhost", "A", True, ("127.0.0.1",)),
        ("localhost", "AAAA", True, ("::1",)),
        ("localhost", "MX", True, ()),
        ("a.localhost", "A", True, ("127.0.0.1",)),
        ("invalid", "A", False, ()),
        ("a.b.invalid", "MX", False, ()),
        ("1.0.0.127.in-addr.arpa", "PTR", True, ("localhost",)),
        ("1.0.0.127.in-addr.arpa", "A", True, ()),
        ("9.0.0.127.in-addr.arpa", "PTR", False, ()),
        (REVERSE_6, "PTR", True, ("localhost",)),
    ],
)
def test_names_with_a_fixed_answer(name: str, rdtype: str, exists: bool, records: tuple[str, ...]) -> None:
    answer = special_answer(name, rdtype)
    assert answer == Answer(name, rdtype, exists=exists, records=records, ttl_s=3600)


@pytest.mark.parametrize(
    "name",
    [
        "example.test",
        "notlocalhost",
        "localhost.test",
        "isinvalid",
        "test",
        "1.0.0.10.in-addr.arpa",
        "1.0.0.1.ip6.arpa",
    ],
)
def test_ordinary_names_have_none(name: str) -> None:
    assert special_answer(name, "A") is None
