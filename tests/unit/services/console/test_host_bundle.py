"""What another host needs to join, as one file."""

import io
import stat
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.console.authority import Authority
from services.console.cli.main import app
from services.console.host_bundle import BundleError, bundle_files, read_bundle, write_bundle


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    for service in ("edge", "delivery"):
        (tmp_path / f"{service}.toml").write_text(f'[broker]\nuser = "{service}"\n')
    return tmp_path


def made(shared: Path, *services: str) -> dict[str, bytes]:
    (shared / "ca").mkdir()
    return bundle_files(Authority(shared / "ca"), shared, ["mx"], services)


def test_a_bundle_holds_what_its_services_share_and_nothing_of_the_others(shared: Path) -> None:
    path = shared / "mx.tar"
    write_bundle(path, made(shared, "edge"))
    assert set(read_bundle(path)) == {"ca.pem", "certificate.pem", "key.pem", "edge.toml"}


def test_a_bundle_and_what_is_in_it_are_for_their_owner_alone(shared: Path) -> None:
    path = shared / "mx.tar"
    write_bundle(path, made(shared, "edge", "delivery"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        assert {entry.mode for entry in archive} == {0o600}


def test_the_authoritys_key_is_in_no_bundle(shared: Path) -> None:
    files = made(shared, "edge")
    assert b"PRIVATE KEY" not in files["ca.pem"] + files["certificate.pem"]


@pytest.mark.parametrize("service", ["broker", "../ca/ca", "content"])
def test_only_services_whose_share_is_there_get_one(shared: Path, service: str) -> None:
    with pytest.raises(BundleError):
        made(shared, service)


@pytest.mark.parametrize("name", ["../edge.toml", "/etc/passwd", "other.pem"])
def test_a_bundle_with_other_files_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mx.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(BundleError, match="does not belong"):
        read_bundle(path)


def test_a_bundle_with_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mx.tar"
    entry = tarfile.TarInfo("key.pem")
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/shadow"
    with tarfile.open(path, "w") as archive:
        archive.addfile(entry)
    with pytest.raises(BundleError, match="does not belong"):
        read_bundle(path)


def test_an_incomplete_bundle_or_none_at_all_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "mx.tar", {"ca.pem": b""})
    with pytest.raises(BundleError, match=r"certificate\.pem, key\.pem is missing"):
        read_bundle(tmp_path / "mx.tar")
    (tmp_path / "no.tar").write_bytes(b"no archive")
    with pytest.raises(BundleError):
        read_bundle(tmp_path / "no.tar")


def gatepost(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["topology", "ca", *words])
    return done.exit_code, done.output


def test_the_command_makes_an_authority_once_issues_and_lists(shared: Path) -> None:
    ca = str(shared / "ca")
    code, said = gatepost("issue", "mx", "--service", "edge", "--folder", ca, "--shared", str(shared))
    assert (code, "topology ca init" in said) == (1, True)
    assert "made" in gatepost("init", "--folder", ca)[1]
    assert "it stays" in gatepost("init", "--folder", ca)[1]
    output = str(shared / "mx.tar")
    code, said = gatepost(
        "issue", "mx", "192.0.2.1", "--service", "edge", "--folder", ca, "--shared", str(shared), "--output", output
    )
    assert code == 0, said
    assert 'make install SERVICES="edge" BUNDLE=mx.tar' in said
    code, said = gatepost("list", "--folder", ca)
    assert code == 0
    assert "mx 192.0.2.1" in said


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "x/y"])
def test_a_host_has_a_name_that_is_one(shared: Path, name: str) -> None:
    ca = str(shared / "ca")
    gatepost("init", "--folder", ca)
    assert gatepost("issue", "--service", "edge", "--folder", ca, "--shared", str(shared), "--", name)[0] == 1
