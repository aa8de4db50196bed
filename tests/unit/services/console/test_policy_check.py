"""What is wrong with a document is told with its key and its line."""

import pytest

from services.console.policy_check import lines_of_keys, look_at

DOCUMENT = """# ours
default_route = "mx"

[domains."a.test"]
route = "mx"
recipients = [
  "anna",
]
checks.spf.fail = "refuse"

[[access]]
action = "deny"

[[access]]
action = "allow"
networks = ["192.0.2.0/24"]
"""

# A document, and of each thing that is wrong: key, line, a part of what is said.
TABLE: dict[str, tuple[str, list[tuple[str | None, int | None, str]]]] = {
    "nothing": (DOCUMENT, []),
    "no TOML": ("a = 1\nb = \n", [(None, 2, "not TOML")]),
    "no TOML at its end": ('a = "x', [(None, 1, "not TOML")]),
    "a value": ("[limits]\nrecipients = 5\n", [("limits.recipients", 2, "greater than")]),
    "an unknown table": ("[relais]\nx = 1\n", [("relais", 1, "unknown key")]),
    "one of several tables": (
        DOCUMENT.replace('action = "allow"', 'action = "x"'),
        [("access.1.action", 15, "Input should be 'allow'")],
    ),
    "within a list": (DOCUMENT.replace('"anna"', '"a b"'), [("domains.a.test.recipients.0", 6, "not a local part")]),
    "with dots": (
        DOCUMENT.replace('"refuse"', '"x"'),
        [("domains.a.test.checks.spf.fail", 9, "Input should be 'accept'")],
    ),
    "an open relay by networks": (
        '[relay]\nnetworks = ["0.0.0.0/0"]\n',
        [(None, 2, "as relay.networks (0.0.0.0/0) allows")],
    ),
    "an open relay by a rule": (
        (
            '[[relay.rules]]\naction = "deny"\nnetworks = ["10.0.0.0/8"]\n[[relay.rules]]\naction = "allow"\n'
            'networks = ["8.0.0.0/7"]\n'
        ),
        [(None, 4, "as relay.rules, rule 2 (8.0.0.0/7) allows")],
    ),
    "two things": (
        "[limits]\nrecipients = 5\n[verdict]\ndeadline_s = 'x'\n",
        [("limits.recipients", 2, ""), ("verdict.deadline_s", 4, "")],
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_is_wrong_has_its_key_and_line(case: str) -> None:
    text, expected = TABLE[case]
    found = look_at(text)
    assert [(one.key, one.line) for one in found.wrong] == [(key, line) for key, line, _ in expected]
    for one, (_, _, said) in zip(found.wrong, expected, strict=True):
        assert said in one.said
    assert (found.policy is None) is bool(expected)


def test_keys_and_tables_are_found_by_their_lines() -> None:
    assert lines_of_keys(DOCUMENT) == {
        "default_route": 2,
        "domains.a.test": 4,
        "domains.a.test.route": 5,
        "domains.a.test.recipients": 6,
        "domains.a.test.checks.spf.fail": 9,
        "access": 11,
        "access.0": 11,
        "access.0.action": 12,
        "access.1": 14,
        "access.1.action": 15,
        "access.1.networks": 16,
    }


@pytest.mark.parametrize("text", ["", "\x00", "[[[[", '"""\n[x]\n', "=\n" * 50, "[" * 2000])
def test_no_text_is_too_odd_to_be_looked_at(text: str) -> None:
    look_at(text)
