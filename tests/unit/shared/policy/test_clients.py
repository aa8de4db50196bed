"""Rules of client control as a document writes them."""

import pytest

from shared.policy import PolicyError, parse_policy
from shared.policy.client import ClientFacts, plain_ip
from shared.policy.clients import ClientControl


def control(**keys: object) -> ClientControl:
    return ClientControl.model_validate({"name": "x", "refuse": True, **keys})


def client(address: str = "192.0.2.7", login: str | None = None, name: str | None = None) -> ClientFacts:
    return ClientFacts(plain_ip(address), name=name, login=login)


@pytest.mark.parametrize(
    ("keys", "who", "sender", "fits"),
    [
        ({}, client(), "", True),
        ({"match": {"networks": ["192.0.2.0/24"]}}, client(), "a@x.test", True),
        ({"match": {"networks": ["192.0.2.0/24"]}}, client("198.51.100.1"), "a@x.test", False),
        ({"logins": ["Anna"]}, client(login="anna"), "a@x.test", True),
        ({"logins": ["anna"]}, client(), "a@x.test", False),
        ({"senders": ["<>"]}, client(), "", True),
        ({"senders": ["@x.test"]}, client(), "a@x.test", True),
        ({"senders": ["@x.test"]}, client(), "", False),
        ({"senders": ["bad@x.test"]}, client(), '"bad"@x.test', True),
        ({"match": {"reverse_names": [".x.test"]}}, client(name="mx.x.test"), "", True),
        # A name that could not be looked up holds nobody to a rule about names.
        ({"match": {"reverse_names": [".x.test"]}}, client(), "", False),
    ],
)
def test_all_matchers_must_fit(keys: dict[str, object], who: ClientFacts, sender: str, fits: bool) -> None:
    assert control(**keys).fits(who, sender) is fits


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("name = 'a'", "does nothing"),
        ("name = 'a b'\nrefuse = true", "name"),
        ("refuse = true", "name"),
        ("name = 'a'\nmessages = '0/min'", "messages"),
        ("name = 'a'\nmessages = 'unlimited'", "does nothing"),
        ("name = 'a'\nrefuse = true\nlogins = ['']", "is no login"),
        ("name = 'a'\nrefuse = true\n[[clients]]\nname = 'a'\nrefuse = true", "two rules have the name 'a'"),
        ("name = 'a'\nmessage_size_bytes = 1", "message_size_bytes"),
        ("name = 'a'\nrefuse = true\ncount_by = 'moon'", "count_by"),
    ],
)
def test_a_rule_with_a_mistake_is_refused(text: str, cause: str) -> None:
    with pytest.raises(PolicyError, match=cause):
        parse_policy(f"[[clients]]\n{text}")
