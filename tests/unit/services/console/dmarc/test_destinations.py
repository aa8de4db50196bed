"""Rules of who gets a report: the domain's own organization, and strangers who agreed in DNS (RFC 9990 §4)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.console.dmarc.destinations import destinations
from shared.dns.answer import DnsTemporary
from shared.dns.resolver import CachingResolver

ZONES = {
    "reports.test": """
bank.test._report._dmarc IN TXT "v=DMARC1"
moved.test._report._dmarc IN TXT "v=DMARC1; rua=mailto:other@reports.test,mailto:thief@evil.test"
wrong.test._report._dmarc IN TXT "v=DMARC2"
""",
    "silent.test": '@ IN TXT "nothing"\n',
}


@pytest.fixture
async def resolver(tmp_path: Path) -> AsyncIterator[CachingResolver]:
    """These zones answer; whatever else is asked is SERVFAIL."""
    files = []
    for name, records in ZONES.items():
        file = tmp_path / f"{name}.zone"
        file.write_text(f"$ORIGIN {name}.\n{records}", encoding="utf-8")
        files.append(file)
    found = CachingResolver([], files)
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("domain", "rua", "found"),
    [
        ("bank.test", ["mailto:dmarc@bank.test"], ["dmarc@bank.test"]),
        ("bank.test", ["mailto:dmarc@eu.bank.test"], ["dmarc@eu.bank.test"]),
        ("bank.test", ["mailto:box@reports.test"], ["box@reports.test"]),
        # It agreed to reports about bank.test, and not about others.
        ("shop.test", ["mailto:box@reports.test"], []),
        ("moved.test", ["mailto:box@reports.test"], ["other@reports.test"]),
        ("wrong.test", ["mailto:box@reports.test"], []),
        ("bank.test", ["mailto:victim@silent.test"], []),
        (
            "bank.test",
            ["mailto:a@notbank.test.silent.test", "https://bank.test/x", "mailto:b@bank.test"],
            ["b@bank.test"],
        ),
        ("bank.test", [f"mailto:{n}@bank.test" for n in range(9)], [f"{n}@bank.test" for n in range(5)]),
        ("bank.test", ["mailto:a@bank.test", "mailto:a@bank.test"], ["a@bank.test"]),
    ],
)
async def test_a_report_goes_to_whoever_may_have_it(
    resolver: CachingResolver, domain: str, rua: list[str], found: list[str]
) -> None:
    assert await destinations(resolver, domain, domain, tuple(rua)) == found


async def test_a_stranger_whose_dns_fails_is_asked_again_later(resolver: CachingResolver) -> None:
    with pytest.raises(DnsTemporary):
        await destinations(resolver, "bank.test", "bank.test", ("mailto:a@unreachable.test",))
