"""Who would lock themselves out: a table, and that the console's gate agrees with each answer."""

import pytest

from services.console.lockout import find_lockout
from shared.bans import Ban, ban_key, encode_ban
from shared.gate import Gate
from shared.policy import parse_policy
from shared.policy.access import Service
from shared.state.memory import MemoryState
from tests.fakes import FixedPolicy

NOW = 1_000_000.0
BAN = Ban(NOW + 900, "login-failed", NOW, 1)
ALLOW = '[[access]]\naction = "allow"\nnetworks = ["{}"]\n'
DENY = '[[access]]\naction = "deny"\nnetworks = ["{}"]\n'

# The document, the address, whether it is banned, and a part of the proof; None where nobody is locked out.
TABLE: dict[str, tuple[str, str, bool, str | None]] = {
    "no rules": ("", "192.0.2.7", False, None),
    "a rule about others": (DENY.format("198.51.100.0/24"), "192.0.2.7", False, None),
    "a rule about the caller": (DENY.format("192.0.2.0/24"), "192.0.2.7", False, "rule 1, “deny from 192.0.2.0/24”"),
    "an IPv6 caller": (DENY.format("2001:db8::/32"), "2001:db8::1", False, "from 2001:db8::1"),
    "a mapped address": (DENY.format("192.0.2.0/24"), "::ffff:192.0.2.7", False, "rule 1"),
    "everybody": ('[[access]]\naction = "drop"\n', "192.0.2.7", False, "“drop everybody”"),
    "a rule before it that allows": (ALLOW.format("192.0.2.7") + DENY.format("192.0.2.0/24"), "192.0.2.7", False, None),
    "one behind it comes too late": (
        DENY.format("192.0.2.0/24") + ALLOW.format("192.0.2.7"),
        "192.0.2.7",
        False,
        "rule 1",
    ),
    "a rule for mail alone": (DENY.format("192.0.2.0/24") + 'services = ["smtp"]\n', "192.0.2.7", False, None),
    "defer is no way in either": (
        DENY.format("192.0.2.0/24").replace("deny", "defer"),
        "192.0.2.7",
        False,
        "rule 1",
    ),
    "a rule by name is passed over here": (
        '[[access]]\naction = "deny"\nreverse_names = ["*"]\n',
        "192.0.2.7",
        False,
        None,
    ),
    "a banned caller": ("", "192.0.2.7", True, "which is banned until"),
    "a banned caller whom a rule allows": (ALLOW.format("192.0.2.7"), "192.0.2.7", True, None),
    "a banned caller who is never banned": ('[bans]\nnever = ["192.0.2.0/24"]\n', "192.0.2.7", True, None),
    "a banned caller who may relay": ('[relay]\nnetworks = ["192.0.2.0/24"]\n', "192.0.2.7", True, None),
    "bans that are off": ("[bans]\nenabled = false\n", "192.0.2.7", True, None),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_lock_out_is_found_and_proved(case: str) -> None:
    text, address, banned, proof = TABLE[case]
    found = find_lockout(parse_policy(text), address, BAN if banned else None, NOW)
    assert (found is None) is (proof is None), found
    if proof is not None:
        assert found is not None
        assert proof in found
        assert address in found


@pytest.mark.parametrize("case", TABLE)
async def test_the_gate_of_the_console_agrees(case: str) -> None:
    text, address, banned, proof = TABLE[case]
    state = MemoryState(lambda: NOW)
    if banned:
        await state.put(ban_key("192.0.2.7"), encode_ban(BAN), 900)
    gate = Gate(FixedPolicy(parse_policy(text)), state, lambda: NOW)
    assert await gate.admits(address, Service.CONSOLE) is (proof is None)


def test_a_ban_that_is_over_locks_nobody_out() -> None:
    assert find_lockout(parse_policy(""), "192.0.2.7", BAN, NOW + 901) is None
