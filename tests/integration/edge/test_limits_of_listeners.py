"""Each key of `limits` over a real socket: a listener's own value holds for it, and the global one for all others."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.integration.edge.gate import Client
from tests.integration.edge.proxied import CLIENT, NEIGHBOUR, client_at, edge_with, greeting, rules

LINE = b"x" * 70 + b"\r\n"
LONG = b"x" * 2000 + b"\r\n"
Scene = Callable[[Client], Awaitable[str]]


async def _size(client: Client) -> str:
    assert "250-SIZE " in await client.hello()
    return await client.say("MAIL FROM:<x@away.test> SIZE=70000")


async def _real_size(client: Client) -> str:
    return await client.mail(LINE * 1000)


async def _recipients(client: Client) -> str:
    await client.begin()
    await client.send(b"".join(b"RCPT TO:<r%d@any.test>\r\n" % number for number in range(100)))
    return [await client.reply() for _ in range(100)][-1]


async def _received(client: Client) -> str:
    return await client.mail(b"Received: x\r\n" * 11 + b"\r\nx\r\n")


async def _long_line(client: Client) -> str:
    return await client.mail(LONG)


async def _noops(client: Client) -> str:
    await client.hello()
    return [await client.say("NOOP") for _ in range(50)][-1]


async def _unknown(client: Client) -> str:
    await client.hello()
    await client.say("WHAT")
    await client.send("NOOP\r\n")
    return await client.reply()


async def _errors(client: Client) -> str:
    await client.hello()
    await client.say("RCPT")
    await client.send("NOOP\r\n")
    return await client.reply()


async def _nobody(client: Client) -> str:
    await client.begin()
    await client.say("RCPT TO:<nobody@ours.test>")
    await client.send("NOOP\r\n")
    return await client.reply()


async def _second_message(client: Client) -> str:
    assert (await client.mail(b"x\r\n")).startswith("250")
    return await client.say("MAIL FROM:<x@away.test>")


async def _second_recipient(client: Client) -> str:
    await client.begin()
    return await client.say("RCPT TO:<carol@ours.test>")


async def _octets(client: Client) -> str:
    return await client.mail(LINE * 30)


async def _silence(client: Client) -> str:
    await client.hello()
    return await _heard(client)


async def _silence_in_data(client: Client) -> str:
    await client.begin()
    await client.say("DATA")
    return await _heard(client)


async def _drip(client: Client) -> str:
    await client.begin()
    await client.say("DATA")
    for _ in range(12):
        await client.send(b"x")
        await asyncio.sleep(0.1)
    return await _heard(client)


async def _heard(client: Client) -> str:
    """Return what the server says by itself before long."""
    try:
        return await asyncio.wait_for(client.reply(), 1.2)
    except TimeoutError:
        return "250 nothing"


SCENES: list[tuple[str, Scene, str]] = [
    ("message_size_bytes = 65536", _size, "552 5.3.4"),
    ("message_size_bytes = 65536", _real_size, "552 5.3.4"),
    ("recipients = 100", _recipients, "452 4.5.3"),
    ("received_fields = 10", _received, "554 5.4.6"),
    ('long_lines = "refuse"', _long_line, "554 5.6.0"),
    ("commands = 50", _noops, "421 4.7.0 Too many commands"),
    ("unknown_commands = 1", _unknown, "421 4.7.0 Too many unknown"),
    ("errors = 1", _errors, "421 4.7.0 Too many errors"),
    ("refused_recipients = 1", _nobody, "421 4.7.0 Too many refused"),
    ("messages = 1", _second_message, "421 4.7.0 Too many messages"),
    ('message_rate = "1/h"', _second_message, "450 4.7.1"),
    ('recipient_rate = "1/h"', _second_recipient, "450 4.7.1"),
    ('byte_rate = "1000/h"', _octets, "452 4.7.1"),
    ("command_timeout_s = 0.3", _silence, "421 4.4.2"),
    ("session_timeout_s = 0.3", _silence, "421 4.4.2"),
    ("data_timeout_s = 0.3", _silence_in_data, "421 4.4.2"),
    ("message_timeout_s = 0.3", _drip, "421 4.4.2"),
    ("data_timeout_s = 0.3\nmin_data_bytes_per_s = 1000", _drip, "421 4.4.2 The message comes too slowly"),
]
MORE = """
[domains."any.test"]
route = "maildir:mail"
recipients = "any"
[limits]
recipients = 101
"""


def with_limits(limits: str) -> str:
    text = rules(MORE, f"[listeners.mx.limits]\n{limits}")
    return text.replace('recipients = ["bob"]', 'recipients = ["bob", "carol"]')


@pytest.mark.parametrize(("limits", "scene", "expected"), SCENES, ids=[f"{one[0]}:{one[1].__name__}" for one in SCENES])
async def test_a_listeners_own_limit_holds_there_and_nowhere_else(
    certificate: Path, limits: str, scene: Scene, expected: str
) -> None:
    async with edge_with(certificate, with_limits(limits)) as edge:
        async with client_at(edge, CLIENT) as client:
            assert (await scene(client)).startswith(expected)
        # Counts are of the client and not of the listener: another client for what is counted.
        async with client_at(edge, "198.51.100.77", "proxied") as client:
            assert (await scene(client)).startswith("250")


@pytest.mark.parametrize(("own", "common"), [("1/h", "2/h"), ("2/h", "1/h"), ("unlimited", "1/h")])
async def test_a_listeners_connection_rate_is_its_own(certificate: Path, own: str, common: str) -> None:
    text = rules(f'[limits]\nconnection_rate = "{common}"\n', f'[listeners.mx.limits]\nconnection_rate = "{own}"\n')
    async with edge_with(certificate, text) as edge:
        taken = {"mx": 0, "proxied": 0}
        for name, address in (("mx", CLIENT), ("proxied", "198.51.100.77")):
            for _ in range(4):
                taken[name] += (await greeting(edge, address, name)).startswith("220")
    assert taken == {"mx": 4 if own == "unlimited" else int(own[0]), "proxied": int(common[0])}


async def test_a_listeners_places_by_address_and_network_are_its_own(certificate: Path) -> None:
    own = "[listeners.mx.limits]\nconnections_per_address = 1\nnetwork_factor = 1\n"
    async with edge_with(certificate, rules("", own)) as edge, client_at(edge, CLIENT) as held:
        assert (await held.reply()).startswith("220")
        assert (await greeting(edge, CLIENT)).startswith("421 4.7.0 Too many connections from your address")
        assert (await greeting(edge, NEIGHBOUR)).startswith("421 4.7.0 Too many connections from your network")
        assert (await greeting(edge, CLIENT, "proxied")).startswith("220")
        assert (await greeting(edge, NEIGHBOUR, "proxied")).startswith("220")


async def test_a_listeners_delay_of_errors_is_its_own(certificate: Path) -> None:
    own = "[listeners.mx.limits]\nerrors_before_delay = 0\nerror_delay_s = 0.6\n"
    async with edge_with(certificate, rules("", own)) as edge:
        took = {}
        for name in ("mx", "proxied"):
            async with client_at(edge, CLIENT, name) as client:
                await client.hello()
                started = time.monotonic()
                assert (await client.say("RCPT")).startswith("503")
                took[name] = time.monotonic() - started
    # The clock that measures is not the one that the delay runs by.
    assert took["mx"] >= 0.59 > took["proxied"]


async def test_a_listeners_deadline_of_the_handshake_is_its_own(certificate: Path) -> None:
    own = "[listeners.mx.limits]\nhandshake_timeout_s = 0.3\n"
    async with edge_with(certificate, rules("", own)) as edge:
        for name, closes in (("mx", True), ("proxied", False)):
            async with client_at(edge, CLIENT, name) as client:
                await client.hello()
                assert (await client.say("STARTTLS")).startswith("220")
                try:
                    closed = await asyncio.wait_for(client.reader.read(1), 1.5) == b""
                except TimeoutError:
                    closed = False
                assert closed is closes


async def test_under_stress_each_tightened_limit_holds_and_without_it_none(certificate: Path) -> None:
    for stress_at, expected in ((0.1, "421 4.7.0 Too many unknown"), (1, "500 5.5.2")):
        text = rules(f"[limits]\nconnections = 10\nstress_at = {stress_at}\nunknown_commands = 9\n")
        async with edge_with(certificate, text) as edge, client_at(edge, CLIENT), client_at(edge, NEIGHBOUR) as client:
            await client.hello()
            await client.say("WHAT")
            await client.send("WHAT\r\n")
            assert (await client.reply()).startswith(expected)
