"""An engine that is away makes mail wait at its sender's; nothing passes unexamined, and all is back by itself."""

import time

import pytest

from infra.local.cases import cases
from tests.e2e.gateway import Gateway, wait_until

PLAIN = b"From: alice@sender.test\r\nTo: demo@gatepost.test\r\nSubject: x\r\n\r\nHello.\r\n"


def takes_mail(gateway: Gateway) -> bool:
    try:
        return gateway.send(PLAIN).startswith("250 ")
    except OSError:
        return False


def test_without_clamd_mail_is_deferred_in_the_session_and_flows_again_with_it(gateway: Gateway) -> None:
    infected = next(case for case in cases(gateway.layout) if "EICAR" in case.title)
    with gateway.without("clamd"):
        assert gateway.send(PLAIN).startswith("451 ")
        assert gateway.send(infected.message).startswith("451 ")
    wait_until(lambda: takes_mail(gateway), 30)
    assert gateway.send(infected.message).startswith("550 ")


def test_without_rspamd_mail_is_deferred_in_the_session_and_flows_again_with_it(gateway: Gateway) -> None:
    with gateway.without("rspamd"):
        assert gateway.send(PLAIN).startswith("451 ")
    wait_until(lambda: takes_mail(gateway), 60)


def test_without_the_broker_no_mail_is_taken_and_all_is_back_within_30_s(gateway: Gateway) -> None:
    with gateway.without("rabbitmq"):
        try:
            answer = gateway.send(PLAIN)
        except OSError as error:  # smtplib's errors are OSErrors, 421 at the greeting is one
            answer = str(error)
        assert not answer.startswith("250")
        assert answer.startswith(("421", "451", "(421")), answer
    started_at = time.monotonic()
    wait_until(lambda: takes_mail(gateway), 60)
    assert time.monotonic() - started_at < 45


@pytest.mark.parametrize("program", ["edge", "content", "delivery", "console"])
def test_a_killed_program_is_started_again_and_mail_flows(gateway: Gateway, program: str) -> None:
    before = gateway.control("pid", program).strip()
    gateway.control("signal", "KILL", program)
    wait_until(lambda: gateway.control("pid", program).strip() not in ("0", before), 30)
    wait_until(lambda: takes_mail(gateway), 30)
