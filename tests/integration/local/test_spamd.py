"""The private SpamAssassin daemon of the tests."""

import socket

from tests.rspamd import GTUBE
from tests.spamd import Spamd

HEAD = (
    "From: Alice <alice@sender.test>\r\nTo: Bob <bob@gatepost.test>\r\nSubject: Report\r\n"
    "Date: Mon, 23 Nov 2026 09:00:00 +0000\r\nMessage-ID: <0123456789.report@sender.test>\r\n\r\n"
)


def ask(port: int, command: str, text: str, *headers: str) -> str:
    body = (HEAD + text + "\r\n").encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = [f"{command} SPAMC/1.5", f"Content-length: {len(body)}", *headers, "", ""]
        connection.sendall("\r\n".join(head).encode() + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def test_gtube_is_spam_and_plain_text_is_not(spamd: Spamd) -> None:
    assert "Spam: True ; 1000" in ask(spamd.port, "SYMBOLS", GTUBE)
    assert "Spam: False" in ask(spamd.port, "SYMBOLS", "The report is attached. Best regards, Alice")


def test_it_can_be_taught(spamd: Spamd) -> None:
    text = " ".join(f"cheap{number} pills{number}" for number in range(30))
    assert "DidSet: local" in ask(spamd.port, "TELL", text, "Message-class: spam", "Set: local")


def test_it_comes_up_again_after_a_kill(spamd: Spamd) -> None:
    spamd.kill()
    spamd.start()
    assert "Spam: False" in ask(spamd.port, "SYMBOLS", "Hello")
