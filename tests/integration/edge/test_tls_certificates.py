"""Which certificate a client sees: server names, and files that change while the edge serves."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from services.edge.settings import CertificateSettings, ListenerSettings
from services.edge.tls.certificates import Certificates
from shared.errors import SettingsError
from tests.certificates import der, pem, signed, written
from tests.integration.edge.gate import Client, Gate, gate, policy, trusting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def settings(folder: Path, *names: str) -> ListenerSettings:
    """Return a listener with the certificates of these files, the first one the default."""
    first, *more = (folder / f"{name}.pem" for name in names)
    return ListenerSettings(
        port=0,
        certificate_file=first,
        key_file=first,
        certificates=tuple(CertificateSettings(certificate_file=path, key_file=path) for path in more),
    )


@contextlib.asynccontextmanager
async def edge_with(own: ListenerSettings) -> AsyncIterator[Gate]:
    assert own.certificate_file is not None
    async with gate(policy(), own.certificate_file, {"mx": own, "submissions": own}) as running:
        yield running


async def start_tls(client: Client, name: str | None = None) -> None:
    assert (await client.say("STARTTLS")).startswith("220")
    await client.writer.start_tls(trusting(), server_hostname=name)


def shown(client: Client) -> bytes:
    found = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert isinstance(found, bytes)
    return found


async def shown_for(edge: Gate, name: str | None) -> bytes:
    async with edge.client("mx") as client:
        await client.hello()
        await start_tls(client, name)
        return shown(client)


async def test_each_server_name_gets_its_certificate_and_unknown_ones_the_first(folder: Path) -> None:
    own = {
        "default": signed("default", "mx.ours.test"),
        "other": signed("other", "mx.other.test", "smtp.other.test"),
        "wild": signed("wild", "*.wild.test"),
        "exact": signed("exact", "a.wild.test"),
        "common": signed("old.test"),
    }
    for name, pair in own.items():
        written(folder / f"{name}.pem", pair)
    async with edge_with(settings(folder, *own)) as edge:
        expectations: dict[str | None, str] = {
            "mx.ours.test": "default",
            "mx.other.test": "other",
            "SMTP.Other.Test": "other",
            "b.wild.test": "wild",
            "a.wild.test": "exact",
            "a.b.wild.test": "default",
            "wild.test": "default",
            "old.test": "common",
            "unknown.test": "default",
            None: "default",
        }
        for wanted, expected in expectations.items():
            assert await shown_for(edge, wanted) == der(own[expected]), wanted


async def test_a_new_certificate_is_used_from_the_next_handshake_on_and_open_sessions_go_on(folder: Path) -> None:
    old, new = signed("old", "mx.ours.test"), signed("new", "mx.ours.test")
    written(folder / "mx.pem", old)
    async with edge_with(settings(folder, "mx")) as edge, edge.client("mx") as open_one, edge.client("mx") as greeted:
        await open_one.hello()
        await greeted.hello()
        await start_tls(open_one)
        written(folder / "mx.pem", new)
        edge.listeners.look_at_certificates()
        assert shown(open_one) == der(old)
        assert (await open_one.say("EHLO client.test")).startswith("250")
        # A session that began before asks for TLS after.
        await start_tls(greeted)
        assert shown(greeted) == der(new)
        assert await shown_for(edge, None) == der(new)


async def test_certificates_behind_links_are_followed(folder: Path) -> None:
    old, new = signed("old"), signed("new")
    for number, pair in ((1, old), (2, new)):
        (folder / f"archive{number}").mkdir()
        written(folder / f"archive{number}" / "mx.pem", pair)
    (folder / "live").symlink_to(folder / "archive1")
    (folder / "mx.pem").symlink_to("live/mx.pem")
    async with edge_with(settings(folder, "mx")) as edge:
        assert await shown_for(edge, None) == der(old)
        (folder / "next").symlink_to(folder / "archive2")
        (folder / "next").replace(folder / "live")
        edge.listeners.look_at_certificates()
        assert await shown_for(edge, None) == der(new)


@pytest.mark.parametrize("fault", ["no PEM", "another's key", "gone", "encrypted"])
async def test_a_certificate_that_cannot_be_used_leaves_the_old_one(folder: Path, fault: str) -> None:
    old, new = signed("old"), signed("new")
    written(folder / "mx.pem", old)
    async with edge_with(settings(folder, "mx")) as edge:
        match fault:
            case "no PEM":
                (folder / "mx.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            case "another's key":
                (folder / "mx.pem").write_bytes(pem((new[0], old[1])))
            case "gone":
                (folder / "mx.pem").unlink()
            case "encrypted":
                (folder / "mx.pem").write_bytes(pem(new, passphrase=b"secret"))
        with structlog.testing.capture_logs() as logs:
            edge.listeners.look_at_certificates()
            edge.listeners.look_at_certificates()
        # Once for each change of the files, not at each look.
        assert [(log["event"], log["listener"]) for log in logs].count(("certificate-not-reloaded", "mx")) == 1
        assert str(folder / "mx.pem") in logs[0]["cause"]
        assert await shown_for(edge, None) == der(old)
        written(folder / "mx.pem", new)
        edge.listeners.look_at_certificates()
        assert await shown_for(edge, None) == der(new)


async def test_files_that_did_not_change_are_read_again_only_when_told(folder: Path) -> None:
    written(folder / "mx.pem", signed("mx"))
    async with edge_with(settings(folder, "mx")) as edge:
        with structlog.testing.capture_logs() as logs:
            edge.listeners.look_at_certificates()
            assert logs == []
            edge.listeners.reload_certificates()
        assert {log["event"] for log in logs} == {"certificates-reloaded"}


async def test_a_certificate_that_ends_soon_is_warned_of(folder: Path) -> None:
    written(folder / "mx.pem", signed("mx", days=13))
    with structlog.testing.capture_logs() as logs:
        async with edge_with(settings(folder, "mx")):
            pass
    assert {log["listener"] for log in logs if log["event"] == "certificate-ends-soon"} >= {"mx", "submissions"}


async def test_a_start_with_a_broken_certificate_names_the_file(folder: Path) -> None:
    (folder / "mx.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"listeners\.\S+: .*mx\.pem"):
        Certificates("mx", settings(folder, "mx"))
