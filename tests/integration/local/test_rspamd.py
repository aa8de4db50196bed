"""The private Rspamd of `make run` and the tests, with the rules of infra/rspamd."""

import asyncio
import http.client
import json
import pwd
from pathlib import Path
from typing import Any

import pytest

from infra.local.rspamd import answers, copy_compiled
from tests.dnsserver import DnsServer
from tests.redis import RedisServer
from tests.rspamd import COMPILED, GTUBE, Rspamd

PLAIN = "The quarterly report is attached, as we said on Monday. Best regards, Alice"


def message(text: str) -> bytes:
    head = (
        "From: Alice <alice@sender.test>\r\nTo: Bob <bob@gatepost.test>\r\nSubject: Report\r\n"
        "Date: Mon, 23 Nov 2026 09:00:00 +0000\r\nMessage-ID: <report@sender.test>\r\n"
    )
    return f"{head}\r\n{text}\r\n".encode()


def ask(port: int, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST" if body else "GET", path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_gtube_is_spam_and_plain_text_is_not(rspamd: Rspamd) -> None:
    status, found = ask(rspamd.port, "/checkv2", message(GTUBE))
    assert (status, found["action"]) == (200, "reject")
    assert "GTUBE" in found["symbols"]
    status, found = ask(rspamd.port, "/checkv2", message(PLAIN), IP="192.0.2.1", Helo="mail.sender.test")
    assert (status, found["action"]) == (200, "no action")
    assert found["score"] < 1


def test_what_gatepost_judges_by_itself_gives_no_points(rspamd: Rspamd) -> None:
    headers = {"IP": "192.0.2.1", "Helo": "mail.sender.test", "From": "alice@sender.test", "Rcpt": "bob@gatepost.test"}
    _, found = ask(rspamd.port, "/checkv2", message(PLAIN), **headers)
    ours = ("R_SPF", "R_DKIM", "DMARC", "ARC", "DKIM", "GREYLIST", "RBL", "WHITELIST", "ASN")
    assert [name for name in found["symbols"] if name.startswith(ours)] == []


def test_nothing_can_be_taught_or_asked_without_the_password(rspamd: Rspamd) -> None:
    assert ask(rspamd.controller_port, "/learnspam", message(PLAIN))[0] == 401
    assert ask(rspamd.controller_port, "/stat", Password="wrong")[0] == 401
    assert ask(rspamd.controller_port, "/stat", Password=rspamd.password)[0] == 200


def test_it_serves_as_a_user_without_rights(rspamd: Rspamd) -> None:
    assert rspamd.pid is not None
    group = rspamd.pid
    users = [
        entry.stat().st_uid
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and f" {group} {group} " in _stat(entry)
    ]
    assert len(users) >= 3
    assert 0 not in users
    assert pwd.getpwuid(users[0]).pw_name != "root"


def test_it_comes_up_again_after_a_kill_and_no_worker_is_left(rspamd: Rspamd) -> None:
    rspamd.kill()
    assert not answers(rspamd.port)
    assert not answers(rspamd.controller_port)
    rspamd.start()
    assert ask(rspamd.port, "/checkv2", message(PLAIN))[0] == 200


async def test_with_redis_it_learns_and_with_dns_it_asks_block_lists(tmp_path: Path, redis_server: RedisServer) -> None:
    async with DnsServer({"7.2.0.192.zen.spamhaus.org": {"A": "127.0.0.2"}}) as nameserver:
        engine = Rspamd(tmp_path, nameserver=nameserver.address, redis=f"127.0.0.1:{redis_server.port}")
        await asyncio.to_thread(engine.start)
        try:
            await asyncio.to_thread(_teach_and_ask, engine, redis_server)
        finally:
            engine.close()
        assert nameserver.count("7.2.0.192.zen.spamhaus.org", "A") == 1
        # No list is fetched from outside: nobody has asked where it would be.
        assert nameserver.count("maps.rspamd.com", "A") == 0


def _teach_and_ask(engine: Rspamd, redis_server: RedisServer) -> None:
    before = redis_server.run("dbsize")
    text = " ".join(f"cheap{number} pills{number} lottery{number}" for number in range(30))
    status, said = ask(engine.controller_port, "/learnspam", message(text), Password=engine.password)
    assert (status, said) == (200, {"success": True})
    assert int(redis_server.run("dbsize")) > int(before)
    _, stat = ask(engine.controller_port, "/stat", Password=engine.password)
    assert stat["learned"] == 1
    _, found = ask(engine.port, "/checkv2", message(PLAIN), IP="192.0.2.7", Helo="mail.sender.test")
    assert "RBL_SPAMHAUS_SBL" in found["symbols"]


@pytest.mark.usefixtures("rspamd")
def test_what_it_compiled_is_kept_for_the_next_start(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    copy_compiled(COMPILED, kept)
    missing = min(kept.iterdir(), key=lambda path: path.stat().st_size)
    missing.unlink()
    engine = Rspamd(tmp_path, compiled=kept)
    try:
        engine.start()
    finally:
        engine.close()
    assert missing.exists()


def test_of_what_it_compiled_large_lists_are_kept_and_no_link_is_followed(tmp_path: Path) -> None:
    state, kept = tmp_path / "state", tmp_path / "kept"
    state.mkdir()
    (state / "list.hsmp").write_bytes(bytes(1_000_000))
    (state / "small.hsmp").write_bytes(bytes(50_000))
    (state / "link.hsmp").symlink_to("/etc/passwd")
    copy_compiled(state, kept)
    assert [path.name for path in kept.iterdir()] == ["list.hsmp"]


@pytest.mark.parametrize("number", [1, 20])
def test_a_message_is_examined_without_waiting_for_the_outside(rspamd: Rspamd, number: int) -> None:
    links = " ".join(f"http://www{count}.example.com/" for count in range(number))
    _, found = ask(rspamd.port, "/checkv2", message(f"{PLAIN} {links}"), IP="192.0.2.1", Helo="mail.sender.test")
    assert found["time_real"] < 0.5


def _stat(entry: Path) -> str:
    try:
        return (entry / "stat").read_text()
    except OSError:
        return ""
