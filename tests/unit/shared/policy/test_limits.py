"""Rules of limits: each listener has the global ones, but for what it sets itself; stress never makes one laxer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy import PolicyError, parse_policy
from shared.policy.limits import Limits, SessionLimits
from shared.policy.table import Rate

TWO = """
[limits]
errors = 4
message_rate = "5/min"
connections_per_address = 7
[listeners.mx]
purpose = "inbound"
[listeners.out]
purpose = "relay"
limits.errors = 40
limits.message_rate = "unlimited"
"""


def test_a_listener_has_the_global_limits_but_for_what_it_sets() -> None:
    mx, out = (parse_policy(TWO).listeners[name].limits for name in ("mx", "out"))
    assert (mx.errors, mx.message_rate, mx.connections_per_address) == (4, Rate(5, 60), 7)
    assert (out.errors, out.message_rate, out.connections_per_address) == (40, None, 7)


def test_the_usual_listeners_have_a_changed_global_limit_too() -> None:
    policy = parse_policy("[limits]\nerrors = 4\nmessage_size_bytes = 70000\nconnection_rate = '9/s'")
    assert list(policy.listeners) == ["mx", "submission", "submissions"]
    for listener in policy.listeners.values():
        limits = listener.limits
        assert (limits.errors, limits.message_size_bytes, limits.connection_rate) == (4, 70_000, Rate(9, 1))


def test_without_limits_a_listener_has_the_defaults() -> None:
    policy = parse_policy("[listeners.x]\npurpose = 'relay'")
    assert policy.listeners["x"].limits == SessionLimits()
    assert {name: getattr(policy.limits, name) for name in SessionLimits.model_fields} == dict(SessionLimits())


def test_a_listener_may_not_set_what_is_global_only() -> None:
    for key in set(Limits.model_fields) - set(SessionLimits.model_fields):
        with pytest.raises(PolicyError, match=rf"listeners\.x\.limits\.{key}: unknown key"):
            parse_policy(f"[listeners.x]\npurpose = 'relay'\nlimits.{key} = 1")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[limits]\nerrors = 0", "limits.errors"),
        ("limits = 5", "limits: "),
        ("[limits]\nerorrs = 1", "limits.erorrs: unknown key"),
        ("[listeners.x]\npurpose = 'relay'\nlimits = 5", "listeners.x.limits"),
        ("[listeners.x]\npurpose = 'relay'\nlimits.errors = 0", "listeners.x.limits.errors"),
        ("listeners = 5", "listeners: "),
        ("listeners.x = 5", "listeners.x: "),
        ("[limits]\nrecipients = 99", "limits.recipients"),
        ("[limits]\nexempt_networks = ['::ffff:0:0/96']", "write 0.0.0.0/0"),
    ],
)
def test_a_mistake_is_named_once_with_its_path(text: str, key: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert str(caught.value).count(key) == 1


@given(st.integers(1, 1000), st.integers(1, 1000), st.floats(1, 3600), st.floats(1, 7200), st.integers(1, 10**6))
def test_stress_never_makes_a_limit_laxer(
    errors: int, unknown: int, command_s: float, data_s: float, most: int
) -> None:
    limits = SessionLimits(
        errors=errors,
        unknown_commands=unknown,
        command_timeout_s=command_s,
        data_timeout_s=min(data_s, 3600),
        messages=most,
    )
    for name in SessionLimits.model_fields:
        usual, tight = getattr(limits, name), getattr(limits.tightened, name)
        assert tight == usual or tight < usual
    assert SessionLimits.model_validate(dict(limits.tightened)) == limits.tightened


def test_stress_shortens_what_idle_clients_live_by() -> None:
    usual, tight = SessionLimits(), SessionLimits().tightened
    for name in ("command_timeout_s", "data_timeout_s", "handshake_timeout_s", "session_timeout_s", "errors"):
        assert getattr(tight, name) < getattr(usual, name)
