"""What `make run` writes before it starts anything."""

import stat
import tomllib
from pathlib import Path

import pytest

from infra.local.generate import filled_in, generate, merged
from infra.local.layout import LOCAL, Layout, layout_of
from shared.dns.zonefile import parse_zone
from shared.errors import SettingsError
from shared.policy import parse_policy
from shared.policy.client import ClientFacts, plain_ip


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return layout_of({"GATEPOST_DATA": str(tmp_path / "var"), "GATEPOST_SETTINGS": str(tmp_path / "over")})


def test_an_override_replaces_its_key_and_leaves_the_rest_of_the_table() -> None:
    below = {"a": 1, "broker": {"port": 1, "user": "edge"}, "list": [1, 2]}
    assert merged(below, {"broker": {"port": 2}, "list": [3]}) == {
        "a": 1,
        "broker": {"port": 2, "user": "edge"},
        "list": [3],
    }


def test_a_value_is_toml_whatever_is_in_it() -> None:
    text = filled_in("path = $path\nport = $port\n", {"path": 'with "quotes" and \\ and $', "port": 25})
    assert tomllib.loads(text) == {"path": 'with "quotes" and \\ and $', "port": 25}


def test_a_template_with_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled_in("port = $prot\n", {"port": 25})


def test_every_file_can_be_used_by_its_program_and_is_private(layout: Layout) -> None:
    made = generate(layout)
    assert made.edge.listeners.keys() == {"mx", "submission", "submissions"}
    assert made.content.clamd.addresses == [f"127.0.0.1:{made.clamd.port}"]
    assert {path.stem for path in layout.settings.iterdir()} == {
        *("rabbitmq", "clamd", "rspamd", "edge", "content", "delivery", "console", "secrets")
    }
    for path in layout.settings.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_edge_and_delivery_rewrite_with_one_secret_that_stays(layout: Layout) -> None:
    made = generate(layout)
    assert made.edge.rewriting_secrets == made.delivery.rewriting_secrets == generate(layout).edge.rewriting_secrets
    assert len(made.edge.rewriting_secrets[0].get_secret_value()) == 32
    assert made.delivery.secrets_dir == layout.secrets
    assert layout.secrets.is_dir()


def test_each_service_has_a_password_of_its_own(layout: Layout) -> None:
    made = generate(layout)
    services = (made.edge, made.content, made.delivery, made.console)
    passwords = {service.broker.password.get_secret_value() for service in services}
    assert len(passwords | {made.rabbitmq.admin_password}) == 5


def test_secrets_keys_and_certificate_stay_the_same_at_the_next_start(layout: Layout) -> None:
    def kept() -> tuple[bytes, ...]:
        files = (layout.settings / "secrets.toml", layout.dkim_key, layout.tls / "certificate.pem", layout.zone_file)
        return tuple(path.read_bytes() for path in files)

    generate(layout)
    before = kept()
    generate(layout)
    assert kept() == before


def test_a_port_that_is_changed_in_one_place_is_known_everywhere(layout: Layout) -> None:
    assert layout.overrides is not None
    layout.overrides.mkdir()
    for program, text in (
        ("rabbitmq", "amqp_port = 1111\nmanagement_port = 2222\n"),
        ("clamd", "port = 3333\n"),
        ("rspamd", "port = 6666\n"),
        ("edge", "[health]\nport = 4444\n"),
        ("console", "[health]\nport = 5555\n"),
    ):
        (layout.overrides / f"{program}.toml").write_text(text)
    made = generate(layout)
    assert {service.broker.port for service in (made.edge, made.content, made.delivery, made.console)} == {1111}
    assert made.console.management is not None
    assert made.console.management.url == "http://127.0.0.1:2222"
    assert made.content.clamd.addresses == ["127.0.0.1:3333"]
    assert made.content.antispam.addresses == ["127.0.0.1:6666"]
    assert made.console.services.edge == "http://127.0.0.1:4444"
    assert made.console.services.recorder == "http://127.0.0.1:5555"


@pytest.mark.parametrize(
    "antispam",
    ['engine = "none"', 'engine = "spamd"', 'addresses = ["192.0.2.7:11333"]'],
    ids=lambda text: text.split()[0],
)
def test_rspamd_runs_here_only_where_content_asks_it(layout: Layout, antispam: str) -> None:
    assert generate(layout).engines == ("rabbitmq", "clamd", "rspamd")
    assert layout.overrides is not None
    layout.overrides.mkdir()
    (layout.overrides / "content.toml").write_text(f"[antispam]\n{antispam}\n")
    assert generate(layout).engines == ("rabbitmq", "clamd")


def test_an_override_with_an_unknown_key_is_refused_by_its_name(layout: Layout) -> None:
    assert layout.overrides is not None
    layout.overrides.mkdir()
    (layout.overrides / "edge.toml").write_text("listenrs = 1\n")
    with pytest.raises(SettingsError, match="listenrs"):
        generate(layout)


def test_the_zone_holds_the_key_of_this_installation_and_needs_no_other_dns(layout: Layout) -> None:
    generate(layout)
    zone = parse_zone(layout.zone_file.read_text(), layout.zone_file.name)
    assert zone.origin == "test"
    found = zone.find("demo._domainkey.sender.test", "TXT").rdataset
    assert found is not None
    assert b"".join(found[0].strings).startswith(b"v=DKIM1; k=rsa; p=MII")


def test_the_first_policy_can_be_used_and_relays_for_nobody() -> None:
    policy = parse_policy((LOCAL / "policy.toml").read_text())
    assert not policy.relay.judge(ClientFacts(plain_ip("127.0.0.1")), "", "x@away.test")
    assert policy.domains["gatepost.test"].takes("demo")
    assert not policy.domains["gatepost.test"].takes("nobody")
