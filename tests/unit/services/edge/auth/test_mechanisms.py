"""PLAIN and LOGIN."""

import pytest

from services.edge.auth.mechanisms import Credentials, Exchange, MechanismError, decode_response, login, plain


def finish(exchange: Exchange, *responses: bytes) -> Credentials:
    pending: list[bytes | None] = [None, *responses]
    try:
        for response in pending:
            exchange.send(response)  # type: ignore[arg-type]  # None begins a generator
    except StopIteration as done:
        credentials: Credentials = done.value
        return credentials
    raise AssertionError("the exchange did not end")


def test_plain_takes_an_initial_response_or_asks() -> None:
    assert finish(plain(b"\0a\0b")) == Credentials("a", b"b")
    assert finish(plain(None), b"a\0a\0b") == Credentials("a", b"b")


def test_login_asks_for_name_and_password() -> None:
    assert finish(login(None), b"a", b"b") == Credentials("a", b"b")
    assert finish(login(b"a"), b"b") == Credentials("a", b"b")


@pytest.mark.parametrize(
    "response, code",
    [
        (b"", 501),
        (b"a\0b", 501),
        (b"\0a\0b\0c", 501),
        (b"other\0a\0b", 535),
        (b"\0\0b", 535),
        (b"\0a\0", 535),
        (b"\0\xff\0b", 535),
        (b"\0a\0" + b"x" * 1025, 535),
    ],
)
def test_what_plain_cannot_use_is_refused(response: bytes, code: int) -> None:
    with pytest.raises(MechanismError) as caught:
        next(plain(response))
    assert caught.value.reply.code == code


@pytest.mark.parametrize(
    "text, enhanced", [(b"*", "5.7.0"), (b"a", "5.5.2"), (b"YQ==YQ==", "5.5.2"), (b"Y Q==", "5.5.2")]
)
def test_a_response_is_base64_and_an_asterisk_cancels(text: bytes, enhanced: str) -> None:
    with pytest.raises(MechanismError) as caught:
        decode_response(text)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (501, enhanced)
