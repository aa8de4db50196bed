"""As whom the local edge serves."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from infra.local.layout import layout_of
from infra.local.run_as import USER, edge_rights, give_files, others_can_enter, others_can_read


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that others could enter but for pytest's own."""
    (tmp_path / "open").mkdir(mode=0o755)
    return tmp_path / "open"


def test_whoever_is_not_root_serves_as_he_is(tmp_path: Path) -> None:
    assert edge_rights(layout_of({"GATEPOST_DATA": str(tmp_path / "var")}), am_root=False) == {}


def test_one_closed_folder_on_the_way_is_enough_to_stop_others(open_folder: Path) -> None:
    open_folder.parent.chmod(0o700)
    assert not others_can_enter(open_folder)
    assert edge_rights(layout_of({"GATEPOST_DATA": str(open_folder / "var")}), am_root=True) == {
        "allow_root_on_loopback": True
    }


def test_a_file_needs_its_own_right_and_a_link_its_targets(open_folder: Path) -> None:
    assert others_can_read(Path("/etc/passwd"))
    assert others_can_enter(Path("/usr"))
    link = open_folder / "link"
    link.symlink_to("/etc/shadow")
    assert not others_can_read(link)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_edges_user_gets_its_certificate_and_zone_and_nothing_else(tmp_path: Path) -> None:
    layout = layout_of({"GATEPOST_DATA": str(tmp_path / "var")})
    layout.make_folders()
    files = [layout.tls / "certificate.pem", layout.tls / "key.pem", layout.tls / "ca.pem", layout.zone_file]
    for file in files:
        file.touch(mode=0o600)
    give_files(layout, f"{USER}:nogroup")
    owners = [file.stat().st_uid for file in files]
    assert owners == [pwd.getpwnam(USER).pw_uid] * 2 + [0, 0]
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (*files, layout.data, layout.tls, layout.settings)]
    assert modes == [0o600, 0o600, 0o600, 0o644, 0o711, 0o711, 0o700]
