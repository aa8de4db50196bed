"""Rules of the mailboxes that records name (RFC 6068)."""

import pytest

from services.console.reports.mailto import mailbox


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:dmarc@bank.test", "dmarc@bank.test"),
        ("MAILTO:dmarc@bank.test!10m", "dmarc@bank.test"),
        ("mailto:dm%2Barc@bank.test", "dm+arc@bank.test"),
        ("mailto:dmarc@bank.test?subject=x", "dmarc@bank.test"),
        ("mailto:dmarc@[127.0.0.1]", None),
        ("mailto:a%0d%0aRCPT%20TO:<b@bank.test>", None),
        ("mailto:bank.test", None),
        ("https://bank.test", None),
        ("", None),
    ],
)
def test_only_an_address_that_mail_can_go_to_is_one(uri: str, address: str | None) -> None:
    assert mailbox(uri) == address
