"""Keys on their stream, and what their records look like."""

import base64
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from shared.dkim_keys import (
    DkimKey,
    KeyAlgorithm,
    KeyBook,
    KeyState,
    PrivateKey,
    RecordState,
    decode_keys,
    encode_keys,
    judge_records,
    load_private_key,
    record_of,
    zone_line,
)

SECRET = bytes(range(32))
# Of the private key above.
ED_RECORD = "v=DKIM1; k=ed25519; p=A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


@cache
def pem(kind: str, bits: int = 2048) -> str:
    private: PrivateKey
    private = Ed25519PrivateKey.from_private_bytes(SECRET) if kind == "ed25519" else generate_private_key(65537, bits)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key(kind: str = "ed25519", **changes: object) -> DkimKey:
    values: dict[str, object] = {
        "domain": "example.org",
        "selector": "gp2026a",
        "algorithm": KeyAlgorithm(kind),
        "private_key": pem(kind),
    }
    return DkimKey(**(values | changes))  # type: ignore[arg-type]


def test_a_book_comes_back_from_the_stream() -> None:
    retired = key(state=KeyState.RETIRED, keep_until=1.5)
    book = KeyBook(7, (key(), key("rsa", state=KeyState.ACTIVE), retired))
    assert decode_keys(encode_keys(book)) == book


def test_the_form_on_the_stream_stays() -> None:
    book = KeyBook(7, (key(private_key="PEM", state=KeyState.ACTIVE),))
    assert encode_keys(book) == (
        b'{"version":7,"keys":[{"domain":"example.org","selector":"gp2026a","algorithm":"ed25519",'
        b'"private_key":"PEM","state":"active"}]}'
    )


@pytest.mark.parametrize("entry", [b"", b"{}", b'{"version":1,"keys":[{"domain":"a"}]}', b'{"version":"x"}'])
def test_what_is_no_book_is_an_error(entry: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        decode_keys(entry)


def test_the_secret_is_not_shown() -> None:
    assert "PRIVATE" not in repr(key())
    with pytest.raises(ValueError, match=r"gp2026a\._domainkey\.example\.org") as caught:
        load_private_key(key(private_key="-----BEGIN secret"))
    assert "secret" not in str(caught.value)


def test_a_key_of_another_kind_or_size_is_refused() -> None:
    with pytest.raises(ValueError, match="not of the kind rsa"):
        load_private_key(key("rsa", private_key=pem("ed25519")))


def test_the_record_of_an_ed25519_key_is_its_32_octets() -> None:
    assert record_of(load_private_key(key())) == ED_RECORD


def test_the_record_of_an_rsa_key_is_its_subject_public_key_info() -> None:
    record = record_of(load_private_key(key("rsa")))
    assert record.startswith("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")


def test_a_long_record_is_several_strings_in_the_zone_file() -> None:
    line = zone_line("s._domainkey.example.org", "x" * 300)
    assert line == f's._domainkey.example.org. 3600 IN TXT ( "{"x" * 255}" "{"x" * 45}" )'
    assert zone_line("s", "short", 60) == 's. 60 IN TXT "short"'


P = ED_RECORD.partition("p=")[2]


@pytest.mark.parametrize(
    ("texts", "state"),
    [
        ([ED_RECORD], RecordState.PUBLISHED),
        ([f"k=ed25519;p={P}"], RecordState.PUBLISHED),
        ([f"v=DKIM1;k=ed25519; h=sha256:sha1; s=email; t=s; n=ours; p={P[:9]} {P[9:]} ;"], RecordState.PUBLISHED),
        ([], RecordState.ABSENT),
        ([ED_RECORD, ED_RECORD], RecordState.SEVERAL),
        ([ED_RECORD, "v=spf1 -all"], RecordState.SEVERAL),
        (["v=spf1 -all"], RecordState.OTHER),
        ([""], RecordState.OTHER),
        (["v=DKIM1; k=ed25519; p="], RecordState.OTHER),
        ([f"v=DKIM1; k=rsa; p={P}"], RecordState.OTHER),
        ([f"v=DKIM1; p={P}"], RecordState.OTHER),
        ([f"v=DKIM2; k=ed25519; p={P}"], RecordState.OTHER),
        ([f"k=ed25519; v=DKIM1; p={P}"], RecordState.OTHER),
        ([f"v=DKIM1; k=ed25519; h=sha1; p={P}"], RecordState.OTHER),
        ([f"v=DKIM1; k=ed25519; s=tlsrpt; p={P}"], RecordState.OTHER),
        ([f"v=DKIM1; k=ed25519; p=B{P[1:]}"], RecordState.OTHER),
        ([f"v=DKIM1; k=ed25519; p=?{P}"], RecordState.OTHER),
        ([f"v=DKIM1; k=ed25519; p={P}; p={P}"], RecordState.OTHER),
        ([ED_RECORD + "; n=" + "x" * 5000], RecordState.OTHER),
    ],
)
def test_dns_holds_the_key_or_it_does_not(texts: list[str], state: RecordState) -> None:
    assert judge_records([text.encode() for text in texts], ED_RECORD) is state


@given(st.lists(st.binary(max_size=80), max_size=2))
def test_no_record_raises_or_passes_for_our_key(texts: list[bytes]) -> None:
    public = base64.b64decode(P)
    state = judge_records(texts, ED_RECORD)
    assert state is not RecordState.PUBLISHED or public in base64.b64decode(texts[0].partition(b"p=")[2])
