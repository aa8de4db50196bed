"""Real servers as next hops of the whole service: Postfix, Dovecot's LMTP, and a smart host that wants a login."""

import re
from collections.abc import Sequence
from pathlib import Path

from shared.envelope import Direction
from shared.event import EventKind
from tests.certificates import signed, written
from tests.integration.delivery.engines import dovecot_lmtp
from tests.integration.delivery.parts import MESSAGE
from tests.integration.delivery.postfix_hop import mailboxes_of
from tests.integration.delivery.real_hops import Line, domain, needs, public_folder, quick_retries
from tests.integration.delivery.sasl_server import LOGIN, PASSWORD, sasl_server
from tests.nexthop import NextHop
from tests.rabbit import Rabbit

_BIG = MESSAGE + b"Much more of it.\r\n" * 1500
_LIMIT = "message_size_limit=20000"


@needs("postfix")
async def test_postfix_takes_each_recipient_on_its_own_over_plain_and_tls(rabbit: Rabbit, tmp_path: Path) -> None:
    authority = signed("an authority", authority=True)
    written(tmp_path / "ca", authority).chmod(0o600)
    known = written(tmp_path / "known.pem", signed("hop.test", "hop.test", by=authority))
    stranger = written(tmp_path / "stranger.pem", signed("hop.test", "hop.test"))
    names = ("plain.test", "required.test", "verified.test", "wrong.test")
    boxes = ["a@client.example", *(f"{local_part}@{name}" for name in names for local_part in ("ok", "later"))]
    listeners = (
        (_LIMIT,),
        _over_tls(stranger, _LIMIT, "smtpd_discard_ehlo_keywords=size"),
        _over_tls(known),
        _over_tls(stranger),
        (),
    )
    with mailboxes_of(boxes, *listeners) as hop:
        *routes, senders = [f"smtp://127.0.0.1:{port}" for port in hop.ports]
        policy = quick_retries() + "".join(map(domain, names, routes)) + domain("client.example", senders)
        policy += f'[destinations."{routes[1]}"]\ntls = "required"\n'
        for route in routes[2:]:
            policy += f'[destinations."{route}"]\ntls = "verified"\ntls_authority = "ca"\ntls_names = ["hop.test"]\n'
        hop.put_off(*(f"later@{name}" for name in names))
        async with Line(rabbit, tmp_path) as line:
            await line.apply(policy)
            mixed = {name: await line.send(*(f"{who}@{name}" for who in ("ok", "gone", "later"))) for name in names}
            big = {name: await line.send(f"ok@{name}", message=_BIG) for name in names[:2]}
            await line.until(lambda: all(line.outcomes(one) for one in (*mixed.values(), *big.values())))
            for name in names[:3]:
                said = line.outcomes(mixed[name])
                assert {who: status for who, (status, _) in said.items()} == {
                    f"ok@{name}": "delivered",
                    f"gone@{name}": "failed",
                    f"later@{name}": "deferred",
                }
                assert "5.1.1" in said[f"gone@{name}"][1]
                assert "4.2.1" in said[f"later@{name}"][1]
            assert {status for status, _ in line.outcomes(mixed["wrong.test"]).values()} == {"deferred"}
            hop.admit_all()
            ids = [*(mixed[name] for name in names[:3]), *big.values()]
            await line.until(lambda: [len(line.ends(one)) for one in ids] == [3, 3, 3, 1, 1])
            # Postfix delivers what it has said 250 for a moment later.
            await line.until(lambda: len(hop.mails("a@client.example")) == 5)
            await line.until(lambda: all(hop.mails(f"{who}@{name}") for name in names[:3] for who in ("ok", "later")))
            for name in names[:3]:
                end = {f"ok@{name}": "delivered", f"gone@{name}": "failed", f"later@{name}": "delivered"}
                assert line.ends(mixed[name]) == end
                for who in ("ok", "later"):
                    (mail,) = hop.mails(f"{who}@{name}")
                    assert ("(using TLSv1." in mail) is (name != "plain.test")
                (told,) = line.told(mixed[name], EventKind.DSN_SENT)
                assert told.facts["action"] == "failed"
            notices = hop.mails("a@client.example")
            assert all("Return-Path: <>" in notice for notice in notices)
            for name in names[:3]:
                (notice,) = (one for one in notices if _failed_in(one) == [f"gone@{name}"])
                assert "5.1.1" in notice
            for name, one in big.items():
                assert line.ends(one) == {f"ok@{name}": "failed"}
                (notice,) = (text for text in notices if _failed_in(text) == [f"ok@{name}"])
                assert "5.3.4" in notice
            assert not hop.mails("ok@wrong.test")
            assert not line.ends(mixed["wrong.test"])


def _over_tls(certificate: Path, *more: str) -> tuple[str, ...]:
    return ("smtpd_tls_security_level=encrypt", f"smtpd_tls_chain_files={certificate}", *more)


_QUOTA = """
mail_plugins = quota
quota_full_tempfail = yes
plugin {
  quota = maildir:User quota
}
"""


@needs("dovecot")
async def test_dovecot_answers_for_each_recipient_of_one_message(rabbit: Rabbit, tmp_path: Path) -> None:
    names = ("tcp.test", "unix.test")
    with public_folder() as folder:
        users = folder / "users"
        _write_users(users, names, full_bytes=10)
        async with NextHop() as senders, Line(rabbit, tmp_path) as line:
            with dovecot_lmtp(users, _QUOTA) as (port, socket, mail):
                routes = (f"lmtp://127.0.0.1:{port}", f"lmtp:{socket}")
                policy = "".join(map(domain, names, routes))
                await line.apply(
                    quick_retries() + policy + domain("client.example", f"smtp://127.0.0.1:{senders.port}")
                )
                ids = {name: await line.send(*(f"{who}@{name}" for who in ("ok", "full", "gone"))) for name in names}
                await line.until(lambda: all(line.told(one, EventKind.RETRY) for one in ids.values()))
                for name, one in ids.items():
                    said = line.outcomes(one)
                    assert {who: status for who, (status, _) in said.items()} == {
                        f"ok@{name}": "delivered",
                        f"full@{name}": "deferred",
                        f"gone@{name}": "failed",
                    }
                    assert said[f"full@{name}"][1].startswith("452 4.2.2")
                    assert said[f"gone@{name}"][1].startswith("550 5.1.1")
                _write_users(users, names, full_bytes=1_000_000)
                await line.until(lambda: all(len(line.ends(one)) == 3 for one in ids.values()))
                for name, one in ids.items():
                    end = {f"ok@{name}": "delivered", f"gone@{name}": "failed", f"full@{name}": "delivered"}
                    assert line.ends(one) == end
                    for who in ("ok", "full"):
                        assert len(list((mail / name / who / "Maildir/new").iterdir())) == 1
                    assert len(line.told(one, EventKind.DSN_SENT)) == 1
                await senders.until(lambda: len(senders.mails) == 2)
        notices = sorted(_failed_in(mail.message.decode()) for mail in senders.mails)
        assert notices == [["gone@tcp.test"], ["gone@unix.test"]]


@needs("postfix", "dovecot")
async def test_a_smart_host_sees_our_login_name_and_address(rabbit: Rabbit, tmp_path: Path) -> None:
    authority = signed("an authority", authority=True)
    written(tmp_path / "ca", authority).chmod(0o600)
    secret = tmp_path / "smart-host"
    secret.write_text(PASSWORD, encoding="utf-8")
    secret.chmod(0o600)
    with sasl_server(written(tmp_path / "hop.pem", signed("hop.test", "hop.test", by=authority))) as server:
        route = f"smtp://127.0.0.1:{server.port}"
        async with Line(rabbit, tmp_path) as line:
            await line.apply(
                f"""
                default_route = "{route}"
                [destinations."{route}"]
                tls = "verified"
                tls_authority = "ca"
                tls_names = ["hop.test"]
                auth = {{ login = "{LOGIN}", secret = "smart-host" }}
                interface = "out"
                [interfaces.out]
                addresses = ["127.0.0.5"]
                hostname = "out.gate.test"
                """
            )
            one = await line.send("x@away.test", direction=Direction.OUTBOUND)
            await line.until(lambda: line.ends(one) == {"x@away.test": "delivered"})
            (attempt,) = line.told(one, EventKind.ATTEMPT)
            assert (attempt.facts["source"], attempt.facts["security"]) == ("127.0.0.5", "verified")
            # Postfix's log is written by another process of it.
            login = f"[127.0.0.5], sasl_method=SCRAM-SHA-256, sasl_username={LOGIN}"
            await line.until(lambda: login in server.log)
            await line.until(lambda: "header Received: from out.gate.test (" in server.log)
            assert " with ESMTPSA id " in server.log


def _write_users(path: Path, names: Sequence[str], *, full_bytes: int) -> None:
    draft = path.with_name("draft")
    draft.write_text(
        "".join(f"ok@{name}:::::::\nfull@{name}:::::::userdb_quota_rule=*:bytes={full_bytes}\n" for name in names)
    )
    draft.rename(path)


def _failed_in(notice: str) -> list[str]:
    """Return for whom a notice (RFC 3464) tells of a failure."""
    return re.findall(r"^Final-Recipient: rfc822; ?(\S+)\s+Action: failed", notice, re.MULTILINE)
