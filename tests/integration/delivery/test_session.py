"""How sessions are opened, protected, kept and used again."""

from pathlib import Path

import pytest

from shared.envelope import Body, Notify, Proof, Recipient, Ret
from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import MESSAGE, Stage, envelope_for, route_policy
from tests.nexthop import DISCONNECT, EXTENSIONS, Last, NextHop


def _statuses(stage: Stage) -> list[str]:
    return [outcome["status"] for attempt in stage.events.of(EventKind.ATTEMPT) for outcome in attempt["outcomes"]]  # type: ignore[attr-defined]


async def test_the_message_arrives_octet_for_octet(stage: MakeStage) -> None:
    message = b".begins with a dot: x\r\n\r\n..two\r\n.\r\nend without a line end"
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for(), message)
        # RFC 5321 §4.1.1.4: what does not end in CRLF is given one.
        assert hop.mails[0].message == message + b"\r\n"


async def test_a_large_message_arrives_whole(stage: MakeStage) -> None:
    message = MESSAGE + b"x" * 70 + b"\r\n.\r\n" * 60_000 + b"y" * 900 + b"\r\n"
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for(), message)
        assert hop.mails[0].message == message


async def test_a_large_message_refused_half_way_has_the_hops_reply(stage: MakeStage) -> None:
    # More than the sockets hold, so that the client still writes when the hop refuses and goes.
    message = MESSAGE + (b"x" * 998 + b"\r\n") * 20_000
    async with NextHop({"in-data": [Last("552 5.3.4 too big")]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for(), message)
        # Whether the reply outruns the reset is the network's business; a success it never is.
        assert _statuses(one)[0] in ("failed", "deferred")
        assert not hop.mails


async def test_a_session_is_used_again(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        for _ in range(3):
            await one.take(envelope_for())
        assert hop.connections == 1
        assert len(hop.mails) == 3


async def test_a_session_carries_so_many_messages_and_no_more(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}", more="[delivery]\nmessages_per_connection = 2\n"))
        for _ in range(5):
            await one.take(envelope_for())
        assert hop.connections == 3


async def test_an_idle_session_ends_with_quit(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}", more="[delivery]\nidle_timeout_s = 0.05\n"))
        await one.take(envelope_for())
        await hop.until(lambda: hop.said[-1] == "QUIT")


@pytest.mark.parametrize("end", [DISCONNECT, "421 4.4.2 idle too long"], ids=["silently", "with-421"])
async def test_a_kept_session_that_turns_out_dead_costs_no_attempt(end: object, stage: MakeStage) -> None:
    async with NextHop({"mail": ["250 ok", end, "250 ok"]}) as hop:  # type: ignore[list-item]
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        await one.take(envelope_for())
        assert _statuses(one) == ["delivered", "delivered"]
        assert hop.connections == 2


async def test_a_session_left_half_way_is_reset(stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["550 5.1.1 no", "250 ok"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        await one.take(envelope_for())
        assert _statuses(one) == ["failed", "delivered"]
        assert hop.said.count("RSET") == 1
        assert hop.connections == 1


async def test_helo_where_ehlo_is_not_known(stage: MakeStage) -> None:
    async with NextHop({"ehlo": ["502 5.5.1 what?"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert _statuses(one) == ["delivered"]
        assert "MAIL FROM:<a@client.example>" in hop.said


# -- TLS


async def test_starttls_is_used_where_offered(stage: MakeStage) -> None:
    async with NextHop(tls=True) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        await one.take(envelope_for())
        assert [mail.tls for mail in hop.mails] == [True, True]
        assert hop.said[:3] == ["EHLO gate.example", "STARTTLS", "EHLO gate.example"]
        assert str(one.events.of(EventKind.ATTEMPT)[0]["tls"]).startswith("TLSv1.")


async def test_smtps_is_tls_from_the_first_octet(stage: MakeStage) -> None:
    async with NextHop(implicit_tls=True) as hop:
        one = stage(route_policy(f"smtps://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert hop.mails[0].tls
        assert "STARTTLS" not in hop.said


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "501 5.5.1 no", DISCONNECT], ids=str)
async def test_a_failed_starttls_never_falls_back_to_plain_text(answer: object, stage: MakeStage) -> None:
    async with NextHop({"starttls": [answer]}, tls=True) as hop:  # type: ignore[list-item]
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert _statuses(one) == ["deferred"]
        assert not any(line.startswith("MAIL") for line in hop.said)


async def test_a_failed_handshake_never_falls_back_to_plain_text(stage: MakeStage) -> None:
    # Offers STARTTLS, says 220, and then speaks no TLS.
    async with NextHop({"ehlo": ["250-hop.example\r\n250 STARTTLS"], "starttls": ["220 go\r\n220 no TLS"]}) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert _statuses(one) == ["deferred"]
        assert not any(line.startswith("MAIL") for line in hop.said)


async def test_what_came_before_tls_began_is_not_believed(stage: MakeStage) -> None:
    async with NextHop(tls=True, after_starttls=b"250-evil\r\n250 SMTPUTF8\r\n") as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert _statuses(one) == ["deferred"]
        assert not hop.mails


# -- extensions


async def test_parameters_follow_what_the_hop_offers(stage: MakeStage) -> None:
    message = MESSAGE + "grüß\r\n".encode()
    envelope = envelope_for(
        ret=Ret.HEADERS,
        envid="QQ+3D1",
        body=Body.EIGHT_BIT,
        recipients=(Recipient("b@example.org", (Notify.SUCCESS, Notify.FAILURE), "rfc822;b@example.org"),),
    )
    async with NextHop(extensions=[*EXTENSIONS, "DSN"]) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope, message)
        assert hop.mails[0].mail == (
            f"MAIL FROM:<a@client.example> SIZE={len(message)} BODY=8BITMIME RET=HDRS ENVID=QQ+3D1"
        )
        assert hop.mails[0].rcpts == ["RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.org"]
    async with NextHop(extensions=[]) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope, message)
        assert (hop.mails[0].mail, hop.mails[0].rcpts) == ("MAIL FROM:<a@client.example>", ["RCPT TO:<b@example.org>"])


async def test_an_internationalized_address_needs_smtputf8(stage: MakeStage) -> None:
    envelope = envelope_for("jürgen@example.org", smtputf8=True)
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope)
        assert hop.mails[0].rcpts == ["RCPT TO:<jürgen@example.org>"]
        assert hop.mails[0].mail.endswith(" SMTPUTF8")
    async with NextHop(extensions=["PIPELINING"]) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope)
        assert one.events.of(EventKind.FAILED)[0]["reply"] == (
            "550 5.6.7 The next hop does not take internationalized addresses or headers (SMTPUTF8)"
        )
        assert not any(line.startswith("MAIL") for line in hop.said)


async def test_a_message_over_the_hops_size_is_not_sent(stage: MakeStage) -> None:
    async with NextHop(extensions=["SIZE 50"]) as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for())
        assert "552 5.3.4" in str(one.events.of(EventKind.FAILED)[0]["reply"])
        assert not hop.mails
        # The hop is not to blame: the next message goes out on the same session.
        await one.take(envelope_for(), b"a: b\r\n")
        assert (hop.connections, len(hop.mails)) == (1, 1)


# -- LMTP


async def test_lmtp_answers_for_each_recipient(stage: MakeStage) -> None:
    script = {"message": ["250 2.0.0 ok", "452 4.2.2 full", "550 5.7.1 no"]}
    async with NextHop(script, lmtp=True) as hop:
        one = stage(route_policy(f"lmtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for("a@example.org", "b@example.org", "c@example.org"))
        assert _statuses(one) == ["delivered", "deferred", "failed"]
        assert hop.said[0] == "LHLO gate.example"
        assert len(hop.mails) == 1


async def test_lmtp_answers_only_for_those_whose_rcpt_was_taken(stage: MakeStage) -> None:
    script = {"rcpt": ["550 5.1.1 no", "250 ok"]}
    async with NextHop(script, lmtp=True) as hop:
        one = stage(route_policy(f"lmtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for("a@example.org", "b@example.org"))
        assert _statuses(one) == ["failed", "delivered"]


async def test_lmtp_that_goes_away_between_its_answers(stage: MakeStage) -> None:
    async with NextHop({"message": ["250 2.0.0 ok", DISCONNECT]}, lmtp=True) as hop:
        one = stage(route_policy(f"lmtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for("a@example.org", "b@example.org"))
        assert _statuses(one) == ["delivered", "deferred"]


async def test_lmtp_over_a_unix_socket(stage: MakeStage, tmp_path: object) -> None:
    path = f"{tmp_path}/lmtp"
    async with NextHop(lmtp=True, path=path) as hop:
        one = stage(route_policy(f"lmtp:{path}"))
        await one.take(envelope_for())
        assert _statuses(one) == ["delivered"]
        assert hop.mails[0].message == MESSAGE
        assert one.events.of(EventKind.ATTEMPT)[0]["peer"] == path


async def test_a_null_sender_stays_null(stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(route_policy(f"smtp://127.0.0.1:{hop.port}"))
        await one.take(envelope_for(sender="", proved=Proof.GATEWAY))
        assert hop.mails[0].mail.startswith("MAIL FROM:<> ")


async def test_requiretls_is_kept_on_a_socket_of_this_host_and_not_by_a_host_without_a_proof(
    stage: MakeStage, tmp_path: Path
) -> None:
    async with NextHop(lmtp=True, path=str(tmp_path / "lmtp")) as local, NextHop(lmtp=True, tls=True) as far:
        one = stage(route_policy(f"lmtp:{local.path}") + route_policy(f"lmtp://127.0.0.1:{far.port}", "far.example"))
        await one.take(envelope_for("b@example.org", requiretls=True))
        await one.take(envelope_for("b@far.example", requiretls=True))
        assert _statuses(one) == ["delivered", "failed"]
        assert not far.mails
