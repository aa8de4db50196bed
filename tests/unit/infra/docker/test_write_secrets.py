"""Who gets which secret."""

import re
import stat
import tomllib
from pathlib import Path

import pytest

from infra.docker.write_secrets import HOLDERS, STAGES, Volumes, write_policy_secrets
from services.delivery.secrets import Secrets

ROOT = Path(__file__).parents[4]


def test_a_stage_gets_the_password_of_its_own_broker_user_alone() -> None:
    for holder in HOLDERS:
        if holder.name in STAGES:
            broker = {secret for _, secret in holder.passwords if secret.startswith("broker-")}
            assert broker - {"broker-monitor"} == {f"broker-{holder.name}"}


def test_the_administrator_of_the_broker_is_known_to_broker_and_installer_alone() -> None:
    assert {holder.name for holder in HOLDERS for _, secret in holder.passwords if secret == "broker-admin"} == {
        "rabbitmq",
        "installer",
    }


def test_only_the_console_may_teach_rspamd() -> None:
    assert {holder.name for holder in HOLDERS for _, secret in holder.passwords if secret == "rspamd"} == {"console"}


def test_services_and_engines_run_as_different_users() -> None:
    services = {holder.uid for holder in HOLDERS if holder.name in (*STAGES, "installer")}
    engines = {holder.uid for holder in HOLDERS if holder.name not in (*STAGES, "installer")}
    assert services.isdisjoint(engines | {0})


def test_redis_is_known_to_the_stages_and_itself_alone() -> None:
    knowing = {holder.name for holder in HOLDERS for _, secret in holder.passwords if secret == "redis"}
    assert knowing == {*STAGES, "redis"}


def test_edge_and_delivery_rewrite_with_one_secret() -> None:
    """The edge has to know the bounces to the senders that delivery makes."""
    knowing = {holder.name for holder in HOLDERS for _, secret in holder.passwords if secret == "rewriting"}
    assert knowing == {"edge", "delivery"}
    compose = (ROOT / "docker-compose.yml").read_text()
    given = "\n      GATEPOST_REWRITING_SECRETS_FILE: /run/gatepost/rewriting-secrets\n"
    for stage in STAGES:
        service = compose.split(f"\n  {stage}:\n")[1].split("\n\n")[0]
        assert (given in service) == (stage in knowing)


def test_the_secrets_of_the_policy_are_delivery_s_alone_and_go_when_they_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.docker.write_secrets.os.chown", lambda *_: None)
    own, volumes = tmp_path / "own", tmp_path / "volumes"
    own.mkdir()
    (volumes / "delivery").mkdir(parents=True)
    (own / "README.md").write_text("how")
    (own / ".gitignore").write_text("*")
    (own / "relay").write_text("secret")
    (own / "keytab").write_bytes(b"\x05\x02")
    write_policy_secrets(Volumes(volumes), own)
    there = volumes / "delivery" / "policy"
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {"relay": b"secret", "keytab": b"\x05\x02"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in there.iterdir()} == {0o400}
    assert stat.S_IMODE(there.stat().st_mode) == 0o700
    assert Secrets(there).text("relay") == "secret"
    settings = tomllib.loads((ROOT / "infra/docker/settings/delivery.toml").read_text())
    assert settings["secrets_dir"] == "/run/gatepost/policy"
    (own / "keytab").unlink()
    (own / "relay").write_text("another")
    write_policy_secrets(Volumes(volumes), own)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {"relay": b"another"}
    write_policy_secrets(Volumes(volumes), tmp_path / "nowhere")
    assert not list(there.iterdir())


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reaches_redis_by_its_settings_network_and_password(stage: str) -> None:
    """Whether compose gives the container what its settings ask for; `make test-all` tries it with Docker."""
    compose = (ROOT / "docker-compose.yml").read_text()
    service = compose.split(f"\n  {stage}:\n")[1].split("\n\n")[0]
    settings = tomllib.loads((ROOT / "infra/docker/settings" / f"{stage}.toml").read_text())
    assert settings["redis"] == {"host": "redis"}
    (file_name,) = [
        name for holder in HOLDERS if holder.name == stage for name, secret in holder.passwords if secret == "redis"
    ]
    assert f"GATEPOST_REDIS__PASSWORD_FILE: /run/gatepost/{file_name}\n" in service
    assert re.search(r"\n    networks: \[.*\bcounters\b.*\]\n", service)
