"""Postfix's own load generator against the whole gateway."""

import asyncio
import time

import pytest

from infra.local.ports import free_ports
from tests.bench.lab.sink import Sink as SmtpSink
from tests.gateway import Gateway
from tests.load.mail import SENDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MESSAGES = 2000
SESSIONS = 20


async def test_all_messages_of_smtp_source_reach_smtp_sink(closed_gateway: Gateway) -> None:
    (port,) = free_ports(1)
    sink = await asyncio.to_thread(SmtpSink, port)
    try:
        await closed_gateway.open({"sink.test": f"smtp://127.0.0.1:{port}"})
        began = time.monotonic()
        source = await asyncio.create_subprocess_exec(
            *("/usr/sbin/smtp-source", "-s", str(SESSIONS), "-m", str(MESSAGES), "-l", "4000"),
            *("-M", "client.sender.test", "-f", SENDER, "-t", "user@sink.test", f"127.0.0.1:{closed_gateway.port}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await source.communicate()
        assert source.returncode == 0, said.decode()
        await asyncio.to_thread(sink.wait_for, MESSAGES, 120)
        took_s = time.monotonic() - began
        await closed_gateway.drained()
        print(f"\n    {sink.count} of {MESSAGES} arrived in {took_s:.1f} s ({MESSAGES / took_s:.0f}/s)")
        assert sink.count == MESSAGES
    finally:
        await asyncio.to_thread(sink.close)
