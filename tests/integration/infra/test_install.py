"""What `make install` lays on a host, here in a folder that stands for one: files, owners, modes, what is kept."""

import os
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from infra.local.layout import REPOSITORY
from infra.systemd.host import Host
from infra.systemd.install import main
from infra.systemd.rabbitmq import write_configuration
from services.console.authority import Authority
from services.console.host_bundle import bundle_files, read_bundle, write_bundle
from services.console.settings import ConsoleSettings
from services.content.settings import ContentSettings
from services.delivery.settings import DeliverySettings
from services.edge.settings import EdgeSettings
from shared.policy import parse_policy
from shared.settings import load_settings

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("systemd-sysusers") is None or "rabbitmq:" not in Path("/etc/passwd").read_text(),
    reason="files of several users need root, systemd-sysusers, and RabbitMQ's user",
)
STAGES: dict[str, type[BaseModel]] = {
    "edge": EdgeSettings,
    "content": ContentSettings,
    "delivery": DeliverySettings,
    "console": ConsoleSettings,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return new_root(tmp_path / "host")


def new_root(root: Path) -> Path:
    (root / "etc").mkdir(parents=True)
    for file in ("passwd", "group"):
        shutil.copy(f"/etc/{file}", root / "etc" / file)
    return root


def install(root: Path, *options: str) -> int:
    return main(["--root", str(root), "--hostname", "mx.example.org", *options])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def uid(root: Path, user: str) -> int:
    return Host(root).owner(user)[0]


def bundle(root: Path, host: str, *services: str) -> Path:
    path = root.parent / f"{host}.tar"
    etc = root / "etc/gatepost"
    write_bundle(path, bundle_files(Authority(etc / "ca"), etc / "shared", [host], services))
    return path


def test_every_service_gets_settings_that_it_understands_and_that_it_alone_can_read(root: Path) -> None:
    assert install(root, "--services", "all") == 0
    for stage, model in STAGES.items():
        path = root / f"etc/gatepost/{stage}.toml"
        assert mode(path) == 0o600
        assert path.stat().st_uid == uid(root, f"gatepost-{stage}") != 0
        load_settings(model, path, {})
    assert mode(root / "etc/gatepost") == 0o711
    parse_policy((root / "etc/gatepost/policy.toml").read_text())


def test_no_two_services_share_a_user_and_secrets_of_all_are_for_root(root: Path) -> None:
    install(root, "--services", "all")
    assert len({uid(root, f"gatepost-{stage}") for stage in STAGES}) == 4
    for name in ("ca", "shared"):
        assert mode(root / "etc/gatepost" / name) == 0o700
        assert (root / "etc/gatepost" / name).stat().st_uid == 0
    for file in ("installer.toml", "shared/secrets.toml", "ca/ca.pem"):
        assert mode(root / "etc/gatepost" / file) == 0o600


def test_on_one_host_the_broker_listens_on_loopback_alone(root: Path) -> None:
    install(root, "--services", "all")
    conf = (root / "etc/rabbitmq/conf.d/20-gatepost-host.conf").read_text()
    assert "listeners.ssl.default = 127.0.0.1:5671" in conf
    assert load_settings(EdgeSettings, root / "etc/gatepost/edge.toml", {}).broker.host == "127.0.0.1"


def test_the_console_looks_at_the_engines_of_its_own_host_alone(root: Path) -> None:
    install(root, "--services", "all")
    content = load_settings(ContentSettings, root / "etc/gatepost/content.toml", {})
    doctor = load_settings(ConsoleSettings, root / "etc/gatepost/console.toml", {}).doctor
    assert (doctor.clamd, doctor.rspamd) == (list(content.clamd.addresses), list(content.antispam.addresses))
    other = new_root(root.parent / "other")
    install(other, "--services", "console", "--bundle", str(bundle(root, "console.example.org", "console")))
    doctor = load_settings(ConsoleSettings, other / "etc/gatepost/console.toml", {}).doctor
    assert (doctor.clamd, doctor.rspamd) == ([], [])


def test_clamds_first_signatures_are_waited_for_where_content_is(root: Path) -> None:
    install(root, "--services", "all")
    path = "etc/systemd/system/gatepost.target.wants/gatepost-signatures.path"
    assert (root / path).is_symlink()
    other = new_root(root.parent / "other")
    install(other, "--services", "edge", "--bundle", str(bundle(root, "mx1.example.org", "edge")))
    assert not (other / path).is_symlink()


def test_edge_and_delivery_share_the_secret_of_srs(root: Path) -> None:
    install(root, "--services", "all")
    shared = [tomllib.loads((root / f"etc/gatepost/{name}.toml").read_text()) for name in ("edge", "delivery")]
    assert shared[0]["rewriting_secrets"] == shared[1]["rewriting_secrets"] != []


def test_the_same_command_again_keeps_settings_secrets_and_the_brokers_own_file(root: Path) -> None:
    install(root, "--services", "all")
    kept = [*root.glob("etc/gatepost/*.toml"), *root.glob("etc/gatepost/*/*"), *root.glob("etc/rabbitmq/conf.d/20*")]
    mine = root / "etc/gatepost/edge.toml"
    mine.write_text(mine.read_text() + "# mine\n")
    before = {path: path.read_bytes() for path in kept}
    assert install(root) == 0
    assert {path: path.read_bytes() for path in kept} == before


def test_a_restored_file_belongs_to_its_service_again(root: Path) -> None:
    install(root, "--services", "all")
    for path in (root / "etc/gatepost/edge.toml", root / "etc/gatepost/edge/key.pem"):
        os.chown(path, 12345, 12345)
    install(root)
    for path in (root / "etc/gatepost/edge.toml", root / "etc/gatepost/edge/key.pem"):
        assert path.stat().st_uid == uid(root, "gatepost-edge")


def test_a_host_joins_with_a_bundle_over_amqps(root: Path) -> None:
    assert install(root, "--services", "broker content", "--broker", "mq.example.org") == 0
    other = new_root(root.parent / "other")
    assert install(other, "--services", "edge", "--bundle", str(bundle(root, "mx1.example.org", "edge"))) == 0
    broker = load_settings(EdgeSettings, other / "etc/gatepost/edge.toml", {}).broker
    assert (broker.host, broker.port, broker.tls) == ("mq.example.org", 5671, True)
    assert not (other / "etc/gatepost/shared").exists()
    assert not (other / "etc/rabbitmq").exists()
    assert not (other / "etc/systemd/system/gatepost-content.service").exists()
    assert "listeners.ssl.default = 0.0.0.0:5671" in (root / "etc/rabbitmq/conf.d/20-gatepost-host.conf").read_text()


def test_without_a_broker_or_a_bundle_it_says_how_to_get_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(root, "--services", "delivery") == 1
    assert "gatepost topology ca issue mx.example.org --service delivery" in capsys.readouterr().err
    assert not (root / "etc/gatepost/delivery.toml").exists()


def test_a_bundle_for_other_services_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root, "--services", "broker content")
    other = new_root(root.parent / "other")
    assert install(other, "--services", "edge", "--bundle", str(bundle(root, "x", "delivery"))) == 1
    assert "is not for edge" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--services", "edge recorder"), ("--hostname", "no name")])
def test_what_cannot_be_meant_is_refused(root: Path, option: str, value: str) -> None:
    assert main(["--root", str(root), "--services", "all", option, value]) == 1


def test_a_new_bundle_renews_the_pair_and_the_listeners_with_it_but_never_a_certificate_of_yours(root: Path) -> None:
    install(root, "--services", "broker content")
    other = new_root(root.parent / "other")
    install(other, "--services", "edge", "--bundle", str(bundle(root, "mx1", "edge")))
    folder = other / "etc/gatepost/edge"
    (root / "etc/gatepost/ca/mx1.pem").unlink()
    second = bundle(root, "mx1", "edge")
    install(other, "--bundle", str(second))
    pair = read_bundle(second)
    assert (
        (folder / "certificate.pem").read_bytes() == (folder / "fullchain.pem").read_bytes() == pair["certificate.pem"]
    )
    (folder / "fullchain.pem").write_bytes(b"yours")
    (root / "etc/gatepost/ca/mx1.pem").unlink()
    install(other, "--bundle", str(bundle(root, "mx1", "edge")))
    assert (folder / "fullchain.pem").read_bytes() == b"yours"
    assert (folder / "certificate.pem").read_bytes() != pair["certificate.pem"]


def test_what_the_recorder_had_is_the_consoles(root: Path) -> None:
    install(root, "--services", "all")
    new = root / "var/lib/gatepost-console"
    old = root / "var/lib/gatepost-recorder"
    old.mkdir(parents=True)
    (old / "gatepost.db").write_bytes(b"rows")
    unit = root / "etc/systemd/system/gatepost-recorder.service"
    unit.write_text("[Service]\n")
    install(root)
    assert (new / "gatepost.db").read_bytes() == b"rows"
    assert (new / "gatepost.db").stat().st_uid == uid(root, "gatepost-console")
    assert old.is_symlink()
    assert not unit.exists()


def test_what_is_the_hosts_own_in_rabbitmqs_folder_stays(root: Path) -> None:
    etc = root / "etc/rabbitmq"
    etc.mkdir()
    (etc / "enabled_plugins").write_text("[rabbitmq_shovel].\n")
    (etc / "rabbitmq.conf").write_text("heartbeat = 30\n")
    (etc / "rabbitmq-env.conf").write_text("#NODENAME=rabbit\n")
    install(root, "--services", "all")
    assert (etc / "enabled_plugins").read_text() == "[rabbitmq_shovel,rabbitmq_management].\n"
    assert (etc / "rabbitmq.conf").read_text() == "heartbeat = 30\n"
    env = (etc / "rabbitmq-env.conf").read_text()
    assert env.startswith("#NODENAME=rabbit\n")
    assert "NODENAME=rabbit@localhost" in env
    pair = dict.fromkeys(("ca.pem", "certificate.pem", "key.pem"), b"")
    assert not write_configuration(Host(root), pair, "secret", for_other_hosts=False)


def make(target: str, root: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "-C", str(REPOSITORY), target, f"ROOT={root}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_roll_back_brings_the_programs_from_before_and_again_those_from_after(root: Path) -> None:
    assert "nothing to go back to" in make("roll-back", root).stderr
    for name in ("gatepost", "gatepost.old"):
        (root / "opt" / name).mkdir(parents=True)
        (root / "opt" / name / "which").write_text(name)
    for now in ("gatepost.old", "gatepost"):
        assert make("roll-back", root).returncode == 0
        assert (root / "opt/gatepost/which").read_text() == now


def test_uninstalling_removes_units_and_programs_and_keeps_settings_and_data(root: Path) -> None:
    install(root, "--services", "all")
    (root / "opt/gatepost").mkdir(parents=True)
    (root / "var/lib/gatepost-console").mkdir(parents=True)
    settings = sorted(root.glob("etc/gatepost/**/*"))
    assert make("uninstall", root).returncode == 0
    left = [str(path) for path in (root / "etc/systemd/system").rglob("*") if "gatepost" in path.name]
    # RabbitMQ stays as it was set up, its ports on loopback.
    assert left == [str(root / "etc/systemd/system/epmd.socket.d/gatepost.conf")]
    assert not (root / "opt/gatepost").exists()
    assert sorted(root.glob("etc/gatepost/**/*")) == settings
    assert (root / "var/lib/gatepost-console").exists()
