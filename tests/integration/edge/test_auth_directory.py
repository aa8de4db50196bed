"""Logins that an LDAP directory knows, on a real slapd."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.edge.directory import Directory, LdapUser
from services.edge.ldap import DirectoryUnavailable
from tests.integration.edge.gate import PASSWORD as OURS
from tests.integration.edge.gate import Gate, gate, policy
from tests.slapd import BASE, PASSWORD, Slapd, slapd

DORA = LdapUser("dora", ("dora@ours.test", "dora.doe@ours.test"))
BY_NAME = {"login_dn": f"uid={{login}},ou=people,{BASE}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


@pytest.fixture
def directory(server: Slapd) -> Iterator[Directory]:
    asked = Directory(server.settings())
    yield asked
    asked.close()


@pytest.fixture
async def edge(certificate: Path, directory: Directory) -> AsyncIterator[Gate]:
    async with gate(policy(), certificate, logins=directory) as running:
        yield running


@pytest.mark.parametrize("ways", [{}, BY_NAME])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_password_is_checked_by_binding_over_starttls_and_ldaps(
    server: Slapd, ways: dict[str, str], secure: bool
) -> None:
    port = {"uri": f"ldaps://localhost:{server.tls_port}"} if secure else {}
    asked = Directory(server.settings(**ways, **port))
    try:
        assert await asked.bind("dora", PASSWORD.encode()) == DORA
        assert await asked.bind("dora", b"wrong") is None
        assert await asked.bind("nobody", PASSWORD.encode()) is None
    finally:
        asked.close()


async def test_an_empty_password_is_nobodys(directory: Directory, server: Slapd) -> None:
    """RFC 4513 §5.1.2: many servers take such a bind for anybody's name."""
    asked = Directory(server.settings(**BY_NAME))
    try:
        assert await asked.bind("dora", b"") is None
        assert await directory.bind("dora", b"") is None
    finally:
        asked.close()


@pytest.mark.parametrize("ways", [{}, BY_NAME])
@pytest.mark.parametrize(
    "login, known",
    [
        ("anna+x=y,z", True),
        ("*", False),
        ("d*a", False),
        ("dora)(uid=*", False),
        ("dora,ou=people", False),
        ("x)(|(uid=dora", False),
        ("{domain}", False),
        ("", False),
    ],
)
async def test_a_login_is_a_name_and_never_part_of_a_question(
    server: Slapd, ways: dict[str, str], login: str, known: bool
) -> None:
    asked = Directory(server.settings(**ways))
    try:
        assert (await asked.bind(login, PASSWORD.encode()) is not None) == known
    finally:
        asked.close()


async def test_a_login_that_two_people_have_is_nobodys(directory: Directory) -> None:
    assert await directory.bind("twins@ours.test", PASSWORD.encode()) is None


async def test_a_value_that_is_no_address_gives_no_right(directory: Directory) -> None:
    assert await directory.bind("emil", PASSWORD.encode()) == LdapUser("emil", ("emil@ours.test",))


@pytest.mark.parametrize(
    "address, known",
    [
        ("dora@ours.test", True),
        ("DORA.DOE@ours.test", True),
        ("nobody@ours.test", False),
        ("*@ours.test", False),
        ("x)(uid=*)@ours.test", False),
    ],
)
async def test_recipients_are_found_by_their_address(directory: Directory, address: str, known: bool) -> None:
    assert await directory.has_recipient(address) is known


async def test_a_directory_that_comes_back_is_asked_again(directory: Directory, server: Slapd) -> None:
    assert await directory.has_recipient("dora@ours.test")
    server.stop()
    try:
        with pytest.raises(DirectoryUnavailable):
            await directory.has_recipient("dora@ours.test")
        with pytest.raises(DirectoryUnavailable):
            await directory.bind("dora", PASSWORD.encode())
    finally:
        server.start()
    assert await directory.has_recipient("dora@ours.test")
    assert await directory.bind("dora", PASSWORD.encode()) == DORA


@pytest.mark.parametrize(
    "changed",
    [
        {"bind_password": "wrong"},
        {"uri": "ldaps://127.0.0.1:{tls_port}"},
        {"uri": "ldap://localhost:{tls_port}"},
        {"search_base": "dc=nowhere"},
    ],
    ids=["service account refused", "certificate of another name", "no LDAP in the clear", "no such base"],
)
async def test_what_is_set_up_wrongly_makes_nobody_wrong(server: Slapd, changed: dict[str, str]) -> None:
    values = {key: value.format(tls_port=server.tls_port) for key, value in changed.items()}
    asked = Directory(server.settings(**values))
    try:
        with pytest.raises(DirectoryUnavailable):
            await asked.bind("dora", PASSWORD.encode())
        with pytest.raises(DirectoryUnavailable):
            await asked.has_recipient("dora@ours.test")
    finally:
        asked.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused(server: Slapd, certificate: Path) -> None:
    asked = Directory(server.settings(ca_file=certificate))
    try:
        with pytest.raises(DirectoryUnavailable):
            await asked.bind("dora", PASSWORD.encode())
    finally:
        asked.close()


async def test_a_directory_that_says_nothing_is_not_waited_for(server: Slapd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        asked = Directory(server.settings(uri=f"ldap://127.0.0.1:{port}", starttls=False, timeout_s=0.5))
        try:
            with pytest.raises(DirectoryUnavailable):
                await asked.has_recipient("dora@ours.test")
        finally:
            asked.close()


# ---- over SMTP


async def test_a_login_of_the_directory_sends_as_the_addresses_in_it(edge: Gate) -> None:
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.log_in("Dora", PASSWORD)).startswith("235")
        assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("553 5.7.1")
        assert (await client.say("MAIL FROM:<dora@ours.test>")).startswith("250")


@pytest.mark.parametrize(
    "login, password, expected",
    [
        ("dora", "wrong", "535 5.7.8"),
        ("nobody", PASSWORD, "535 5.7.8"),
        ("alice@ours.test", OURS, "235 2.7.0"),
        ("alice@ours.test", "wrong", "535 5.7.8"),
        ("gone@ours.test", OURS, "535 5.7.8"),
        ("mute", PASSWORD, "235 2.7.0"),
    ],
)
async def test_own_accounts_and_those_of_the_directory_stand_side_by_side(
    edge: Gate, login: str, password: str, expected: str
) -> None:
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.log_in(login, password)).startswith(expected)


async def test_a_directory_that_is_away_is_a_temporary_failure(edge: Gate, server: Slapd) -> None:
    server.stop()
    try:
        async with edge.client("submissions", tls=True) as client:
            await client.hello()
            for password in (PASSWORD, "wrong"):
                assert (await client.log_in("dora", password)).startswith("454 4.7.0")
            assert (await client.log_in()).startswith("235")
    finally:
        server.start()
