"""What is sent to content to be tried."""

from dataclasses import replace

import pytest

from services.console.simulate import Asked
from services.console.trial.message import as_sent, envelope_again, envelope_of
from shared.envelope import Client, Direction, Envelope, Proof, Recipient, Retry
from shared.policy import parse_policy
from shared.verdict import Action, Verdict

POLICY = parse_policy('[domains."a.test"]\nroute = "mx"\nrecipients = "any"\n[relay]\nnetworks = ["192.0.2.64/26"]\n')
ASKED = Asked("192.0.2.1", "mx", "B@far.test", ("x@a.test",), helo="h.test", name="h.test")


@pytest.mark.parametrize(
    ("file", "sent"),
    [(b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\nb\r\n", b"a\r\nb\r\n"), (b"a\rb\r\n\n", b"a\r\nb\r\n\r\n"), (b"", b"")],
)
def test_a_file_s_line_ends_become_those_of_smtp(file: bytes, sent: bytes) -> None:
    assert as_sent(file) == sent


def test_the_envelope_is_what_edge_would_make() -> None:
    made = envelope_of(POLICY, ASKED, b"12345", "id", 7.0)
    assert (made.id, made.received_at, made.size_bytes, made.listener) == ("id", 7.0, 5, "mx")
    assert (made.direction, made.sender, made.proved) == (Direction.INBOUND, "B@far.test", None)
    assert made.client == Client("192.0.2.1", 0, "h.test", name="h.test")
    assert [one.address for one in made.recipients] == ["x@a.test"]
    assert envelope_of(POLICY, replace(ASKED, client="192.0.2.65"), b"", "id", 7.0).proved is Proof.RELAY_LIST
    assert envelope_of(POLICY, replace(ASKED, sender="<>"), b"", "id", 7.0).sender == ""


@pytest.mark.parametrize(
    "wrong", [{"client": "x"}, {"listener": "none"}, {"sender": "no address"}, {"recipients": ("x",)}]
)
def test_what_smtp_could_not_say_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        envelope_of(POLICY, replace(ASKED, **wrong), b"", "id", 7.0)  # type: ignore[arg-type]


def test_a_held_mail_comes_as_if_it_came_now_and_is_let_past_nothing() -> None:
    held = Envelope(
        "old",
        1.0,
        "mx",
        Direction.INBOUND,
        Client("192.0.2.1", 25, "h"),
        "b@far.test",
        (Recipient("x@a.test"),),
        9,
        verdict=Verdict(Action.REFUSE),
        hop="mx:a.test",
        parent="p",
        retry=Retry(3),
        results="gate; spf=pass",
        bypass=("antivirus.infected",),
        released_by="root",
    )
    again = envelope_again(held, b"12345", "new", 7.0)
    assert (again.id, again.received_at, again.size_bytes) == ("new", 7.0, 5)
    assert (again.verdict, again.hop, again.parent, again.retry) == (None, None, None, Retry())
    assert (again.results, again.bypass, again.released_by) == ("", (), "")
    assert (again.client, again.sender, again.recipients) == (held.client, held.sender, held.recipients)
