"""What is asked of a directory, and the settings of one."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.edge.ldap import escaped, filled
from services.edge.settings import LdapSettings

MINIMAL = {"uri": "ldaps://ldap.ours.test", "search_base": "dc=ours,dc=test"}


@pytest.mark.parametrize(
    "template, name, question",
    [
        ("uid={login},ou=people", "alice", "uid=alice,ou=people"),
        ("uid={local},dc={domain}", "alice@ours.test", r"uid=alice,dc=ours\2etest"),
        ("(mail={address})", "a*b@ours.test", r"(mail=a\2ab\40ours\2etest)"),
        ("(|(uid={login})(mail={login}))", "x)(uid=*", r"(|(uid=x\29\28uid\3d\2a)(mail=x\29\28uid\3d\2a))"),
        ("uid={local},{domain}", "alice", "uid=alice,"),
        # What a client says is never a place for something else.
        ("uid={login},x={domain}", "{domain}@evil.test", r"uid=\7bdomain\7d\40evil\2etest,x=evil\2etest"),
        ("uid={login}", "ä\0", r"uid=\c3\a4\00"),
    ],
)
def test_names_are_filled_in_as_values_and_nothing_else(template: str, name: str, question: str) -> None:
    assert filled(template, name) == question


@given(st.text(max_size=50))
def test_nothing_that_has_a_meaning_is_left_after_escaping(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    text = escaped(value)
    assert re.fullmatch(r"(?:[A-Za-z0-9]|\\[0-9a-f]{2})*", text)
    octets = re.sub(rb"\\([0-9a-f]{2})", lambda pair: bytes.fromhex(pair[1].decode()), text.encode())
    assert octets == value.encode()


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"uri": "ldap://ldap.ours.test:1389"},
        {"uri": "ldap://127.0.0.1", "starttls": False},
        {"login_dn": "uid={local},ou=people"},
        {"bind_dn": "cn=reader", "bind_password": "x"},
    ],
)
def test_settings_that_can_be_used(changed: dict[str, Any]) -> None:
    LdapSettings(**{**MINIMAL, **changed})


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"uri": "http://ldap.ours.test"}, "uri is ldap://"),
        ({"uri": "ldaps://"}, "uri is ldap://"),
        ({"uri": "ldaps://ldap.ours.test/dc=x"}, "uri is ldap://"),
        ({"uri": "ldap://ldap.ours.test", "starttls": False}, "in the clear"),
        ({"bind_dn": "cn=reader"}, "belong together"),
        ({"login_dn": "uid=alice"}, "login_dn needs"),
        ({"login_filter": "(uid=alice)"}, "login_filter is a filter"),
        ({"recipient_filter": "mail={address}"}, "recipient_filter is a filter"),
    ],
)
def test_settings_that_could_not_work_say_why(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        LdapSettings(**{**MINIMAL, **changed})
