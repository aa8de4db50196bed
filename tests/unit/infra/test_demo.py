"""The demo's mails."""

from email import message_from_bytes
from pathlib import Path

import dkim
import pytest

from infra.local.cases import Case, cases
from infra.local.generate import generate
from infra.local.layout import layout_of
from shared.dns.zonefile import parse_zone


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Case, ...]]:
    layout = layout_of({"GATEPOST_DATA": str(tmp_path_factory.mktemp("demo"))})
    generate(layout)
    return layout.zone_file, cases(layout)


def test_the_clean_mail_verifies_with_the_key_in_the_zone(played: tuple[Path, tuple[Case, ...]]) -> None:
    zone = parse_zone(played[0].read_text(), "test.zone")

    def txt(name: bytes, timeout: int = 5) -> bytes:
        found = zone.find(name.decode().rstrip("."), "TXT").rdataset
        assert found is not None
        return b"".join(found[0].strings)

    assert dkim.verify(played[1][0].message, dnsfunc=txt)


def test_every_mail_has_an_id_of_its_own_and_only_crlf(played: tuple[Path, tuple[Case, ...]]) -> None:
    ids = [message_from_bytes(case.message)["Message-ID"] for case in played[1][:3]]
    assert len(set(ids)) == 3
    for case in played[1]:
        assert b"\n" not in case.message.replace(b"\r\n", b"")
