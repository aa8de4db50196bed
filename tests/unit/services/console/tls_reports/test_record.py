"""Rules of the record that asks for reports on TLS (RFC 8460 §3)."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.tls_reports.record import MAX_DESTINATIONS, NOTHING, Wanted, https_url, wanted
from shared.address import parse_address

MAIL = Wanted(("tls@bank.test",))


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([b"v=TLSRPTv1; rua=mailto:tls@bank.test"], MAIL),
        ([b"v=TLSRPTv1;rua=mailto:tls@bank.test;"], MAIL),
        ([b"v=TLSRPTv1 ; rua = mailto:tls@bank.test "], MAIL),
        ([b"v=TLSRPTv1; rua=https://r.test/v1"], Wanted((), ("https://r.test/v1",))),
        (
            [b"v=TLSRPTv1; rua=mailto:tls@bank.test , https://r.test/v1?key=a%2Cb"],
            Wanted(("tls@bank.test",), ("https://r.test/v1?key=a%2Cb",)),
        ),
        # Unknown fields are ignored, wherever they stand.
        ([b"v=TLSRPTv1; x=1; rua=mailto:tls@bank.test; y=2"], MAIL),
        # Other records at the name do not count.
        ([b"something else", b"v=TLSRPTv1; rua=mailto:tls@bank.test"], MAIL),
        ([b"v=TLSRPTv1; rua=mailto:tls@bank.test", b"v=TLSRPTv1; rua=mailto:b@bank.test"], NOTHING),
        ([b"v=TLSRPTv2; rua=mailto:tls@bank.test"], NOTHING),
        ([b"v=TLSRPTv10; rua=mailto:tls@bank.test"], NOTHING),
        ([b"V=tlsrptv1; rua=mailto:tls@bank.test"], NOTHING),
        ([b"rua=mailto:tls@bank.test; v=TLSRPTv1"], NOTHING),
        ([b"v=TLSRPTv1; RUA=mailto:tls@bank.test"], NOTHING),
        ([b"v=TLSRPTv1; rua=http://r.test/, ftp://r.test/, tls@bank.test"], NOTHING),
        ([b"v=TLSRPTv1"], NOTHING),
        ([], NOTHING),
        ([b"v=TLSRPTv1; rua=mailto:tls@bank.test,mailto:tls@bank.test"], MAIL),
        (
            [b"v=TLSRPTv1; rua=" + b",".join(b"mailto:%d@bank.test" % number for number in range(9))],
            Wanted(tuple(f"{number}@bank.test" for number in range(MAX_DESTINATIONS))),
        ),
    ],
)
def test_a_record_names_mailboxes_and_urls(records: list[bytes], found: Wanted) -> None:
    assert wanted(records) == found


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("https://r.test/a/b?c=d", "https://r.test/a/b?c=d"),
        ("HTTPS://R.Test", "https://r.test/"),
        ("https://r.test:8443/x#part", "https://r.test:8443/x"),
        # DNS has to name the host, so that its address can be looked at.
        ("https://192.0.2.1/", None),
        ("https://[2001:db8::1]/", None),
        ("https://127.1/", None),
        ("https://2130706433/", None),
        ("https://localhost/", None),
        ("https://user:word@r.test/", None),
        ("https://r.test:0/", None),
        ("https://r.test:99999/", None),
        ("https://r.test/a b", None),
        ("https://r.test/\r\nHost: x", None),
        ("https:///path", None),
        ("http://r.test/", None),
    ],
)
def test_only_a_host_that_dns_names_is_posted_to(uri: str, url: str | None) -> None:
    assert https_url(uri) == url


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda text: b"v=TLSRPTv1; rua=https://" + text)))
def test_no_record_names_what_cannot_be_used(record: bytes) -> None:
    found = wanted([record])
    assert len(found.mailboxes) + len(found.urls) <= MAX_DESTINATIONS
    for address in found.mailboxes:
        parse_address(address)
    for url in found.urls:
        assert url.isascii()
        assert url.isprintable()
        assert urlsplit(url).scheme == "https"


@given(
    st.lists(st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.test", fullmatch=True), min_size=1, max_size=2, unique=True),
    st.lists(st.from_regex(r"https://[a-z]{1,8}\.test/[a-z0-9]{0,8}", fullmatch=True), max_size=2, unique=True),
    st.sampled_from(["", " ", "\t "]),
)
def test_what_is_asked_for_is_found(mailboxes: list[str], urls: list[str], space: str) -> None:
    uris = [*(f"mailto:{address}" for address in mailboxes), *urls]
    record = f"v=TLSRPTv1{space};{space}rua={space}{f'{space},{space}'.join(uris)}{space};"
    assert wanted([record.encode()]) == Wanted(tuple(mailboxes), tuple(urls))
