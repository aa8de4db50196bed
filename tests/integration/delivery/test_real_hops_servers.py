"""Real servers as next hops of the whole service: Postfix, Dovecot's LMTP, and a smart host that wants a login."""

from pathlib import Path

from shared.event import EventKind
from tests.certificates import signed, written
from tests.integration.delivery.parts import MESSAGE
from tests.integration.delivery.postfix_hop import mailboxes_of
from tests.integration.delivery.real_hops import Line, domain, needs, quick_retries
from tests.rabbit import Rabbit

BIG = MESSAGE + b"Much more of it.\r\n" * 1500


def keep(folder: Path, name: str, secret: str) -> None:
    """Put a secret where delivery looks for it."""
    (folder / name).write_text(secret, encoding="utf-8")
    (folder / name).chmod(0o600)


@needs("postfix")
async def test_postfix_takes_each_recipient_on_its_own_over_plain_and_tls(rabbit: Rabbit, tmp_path: Path) -> None:
    authority = signed("an authority", authority=True)
    written(tmp_path / "ca", authority).chmod(0o600)
    known = written(tmp_path / "known.pem", signed("hop.test", "hop.test", by=authority))
    stranger = written(tmp_path / "stranger.pem", signed("hop.test", "hop.test"))
    names = ("plain.test", "required.test", "verified.test", "wrong.test")
    boxes = ["a@client.example", *(f"{local_part}@{name}" for name in names for local_part in ("ok", "later"))]
    listeners = (
        (),
        _over_tls(stranger, "smtpd_discard_ehlo_keywords=size"),
        _over_tls(known),
        _over_tls(stranger),
    )
    with mailboxes_of(boxes, *listeners) as hop:
        routes = [f"smtp://127.0.0.1:{port}" for port in hop.ports]
        policy = quick_retries() + "".join(map(domain, names, routes)) + domain("client.example", routes[0])
        policy += f'[destinations."{routes[1]}"]\ntls = "required"\n'
        for route in routes[2:]:
            policy += f'[destinations."{route}"]\ntls = "verified"\ntls_authority = "ca"\ntls_names = ["hop.test"]\n'
        hop.put_off(*(f"later@{name}" for name in names))
        async with Line(rabbit, tmp_path) as line:
            await line.apply(policy)
            mixed = {name: await line.send(*(f"{who}@{name}" for who in ("ok", "gone", "later"))) for name in names}
            big = {name: await line.send(f"ok@{name}", message=BIG) for name in names[:2]}
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
                (notice,) = (one for one in notices if f"rfc822;gone@{name}" in one.replace("; ", ";"))
                assert "5.1.1" in notice
                assert f";later@{name}" not in notice.replace("; ", ";")
            for name, one in big.items():
                assert line.ends(one) == {f"ok@{name}": "failed"}
                (notice,) = (text for text in notices if f"rfc822;ok@{name}" in text.replace("; ", ";"))
                assert "5.3.4" in notice
            assert not hop.mails("ok@wrong.test")
            assert not line.ends(mixed["wrong.test"])


def _over_tls(certificate: Path, *more: str) -> tuple[str, ...]:
    return ("smtpd_tls_security_level=encrypt", f"smtpd_tls_chain_files={certificate}", *more)
