"""The exchange of GSSAPI, with a context that is none."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.auth.exchange import Exchange, MechanismError, Ticket, advance
from services.edge.auth.gss import Rejected, gssapi
from tests.unit.services.edge.auth.exchanges import finish


class Context:
    """Stands after so many tokens; protects by a letter in front. Answers: what it says to each token."""

    principal = "alice@OURS.TEST"

    def __init__(self, *answers: bytes, rejects: bool = False) -> None:
        self._answers = list(answers)
        self._rejects = rejects
        self.is_complete = False

    def step(self, token: bytes) -> bytes:
        if self._rejects or token != b"token":
            raise Rejected("no good")
        answer = self._answers.pop(0)
        self.is_complete = not self._answers
        return answer

    def wrap(self, octets: bytes) -> bytes:
        return b"W" + octets

    def unwrap(self, octets: bytes) -> bytes:
        if not octets.startswith(b"W"):
            raise Rejected("changed on the way")
        return octets[1:]


CHOICE = b"W\1\0\0\0"


def test_the_context_is_made_and_no_layer_chosen() -> None:
    exchange = gssapi(b"token", Context(b"answer"))
    assert advance(exchange, None) == b"answer"
    assert advance(exchange, b"") == b"W\1\0\0\0"
    assert advance(exchange, CHOICE) == Ticket("alice@OURS.TEST", "")


def test_the_token_may_come_as_a_response_and_more_than_one_may_be_needed() -> None:
    exchange = gssapi(None, Context(b"one", b"two"))
    assert [advance(exchange, octets) for octets in (None, b"token", b"token", b"")] == [b"", b"one", b"two", CHOICE]


def test_without_a_last_token_the_layers_follow_at_once() -> None:
    assert finish(gssapi(b"token", Context(b"")), CHOICE + b"alice") == Ticket("alice@OURS.TEST", "alice")


@pytest.mark.parametrize(
    "exchange, responses",
    [
        (gssapi(b"token", Context(b"", rejects=True)), []),
        (gssapi(b"other", Context(b"")), []),
        (gssapi(b"token", Context(b"")), [b"\1\0\0\0"]),
    ],
)
def test_what_the_context_does_not_take_is_no_ticket(exchange: Exchange, responses: list[bytes]) -> None:
    assert finish(exchange, *responses) == Ticket(None)


@pytest.mark.parametrize(
    "choice", [b"", b"\1", b"\2\0\0\0", b"\4\0\0\0", b"\0\0\0\0", b"\1\0\x10\0", b"\3\0\0\0", b"\1\0\0\0\xff"]
)
def test_any_other_layer_or_size_is_refused(choice: bytes) -> None:
    with pytest.raises(MechanismError):
        finish(gssapi(b"token", Context(b"")), b"W" + choice)


def test_the_last_token_is_answered_with_nothing() -> None:
    with pytest.raises(MechanismError):
        finish(gssapi(b"token", Context(b"answer")), b"something")


def test_tokens_come_to_an_end() -> None:
    with pytest.raises(MechanismError):
        finish(gssapi(b"token", Context(*[b"more"] * 100)), *[b"token"] * 20)


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_whatever_comes_is_a_claim_or_a_mechanism_error(first: bytes, choice: bytes) -> None:
    with contextlib.suppress(MechanismError):
        step = advance(exchange := gssapi(first, Context(b"")), None)
        if isinstance(step, bytes):
            advance(exchange, choice)
