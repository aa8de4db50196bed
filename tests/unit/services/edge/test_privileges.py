"""As whom the edge may serve; that it really becomes that user is shown in tests/integration/edge/test_rights.py."""

import os
import pwd

import pytest
from pydantic import ValidationError

from services.edge.privileges import identity_of, is_loopback, user_to_become
from services.edge.settings import EdgeSettings
from shared.errors import SettingsError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="for root alone")


def settings(address: str = "127.0.0.1", **more: object) -> EdgeSettings:
    return EdgeSettings.model_validate(
        {
            "hostname": "gate.test",
            "broker": {"user": "edge", "password": "x"},
            "health": {"port": 0},
            "listeners": {"mx": {"address": address, "port": 0}},
            **more,
        }
    )


@pytest.mark.parametrize("text", ["", ":", "user:", ":group", "a b", "user:group:more", "../x", "0;x"])
def test_run_as_is_a_user_or_a_user_and_a_group(text: str) -> None:
    with pytest.raises(ValidationError, match="run_as"):
        settings(run_as=text)


def test_run_as_names_the_users_own_group_unless_it_names_another() -> None:
    nobody = pwd.getpwnam("nobody")
    assert identity_of("nobody").gid == nobody.pw_gid
    assert identity_of("nobody:daemon").gid != nobody.pw_gid
    assert identity_of("nobody:daemon").uid == nobody.pw_uid


@pytest.mark.parametrize("text", ["root", "nobody:root", "no-such-user", "nobody:no-such-group"])
def test_root_and_unknown_users_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="run_as"):
        identity_of(text)


@as_root
def test_root_serves_on_loopback_alone_and_only_where_that_is_said() -> None:
    with pytest.raises(SettingsError, match="set run_as"):
        user_to_become(settings())
    assert user_to_become(settings(allow_root_on_loopback=True)) is None
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        user_to_become(settings("192.0.2.1", allow_root_on_loopback=True))
    with pytest.raises(SettingsError, match="::"):
        user_to_become(settings(health={"address": "::", "port": 0}, allow_root_on_loopback=True))
    assert user_to_become(settings("192.0.2.1", run_as="nobody")) == identity_of("nobody")


@pytest.mark.parametrize(
    "address, loopback",
    [("127.0.0.77", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False), ("mx.test", False)],
)
def test_what_only_this_machine_reaches(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


def test_more_workers_than_one_need_redis() -> None:
    with pytest.raises(ValidationError, match=r"workers > 1 needs \[redis\]"):
        settings(workers=2)
    assert settings(workers=2, redis={}).workers == 2


def test_more_certificates_and_client_authorities_need_a_first_certificate() -> None:
    for key, value in (("client_ca_file", "x"), ("certificates", [{"certificate_file": "a", "key_file": "b"}])):
        with pytest.raises(ValidationError, match="need certificate_file and key_file"):
            settings(listeners={"mx": {"port": 0, key: value}})
