"""The certificates of a listener over time."""

import ssl
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY

from services.edge.settings import ListenerSettings
from services.edge.tls.certificates import Certificates
from tests.certificates import signed, written
from tests.unit.services.edge.tls.handshake import client, ended, shaken

_DAY_S = 86_400.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def settings(path: Path) -> ListenerSettings:
    return ListenerSettings(port=0, certificate_file=path, key_file=path)


def test_an_end_in_less_than_14_days_is_warned_of_once_a_day(tmp_path: Path) -> None:
    pair = signed("mx", days=20)
    clock = Clock(pair[0].not_valid_after_utc.timestamp() - 15 * _DAY_S)
    with structlog.testing.capture_logs() as logs:
        certificates = Certificates("mx", settings(written(tmp_path / "mx.pem", pair)), clock)
        assert logs == []
        for _ in range(15):
            clock.now += _DAY_S + 1
            certificates.look()
            certificates.look()
    assert [log["event"] for log in logs] == ["certificate-ends-soon"] * 14 + ["certificate-has-ended"]


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_that_could_be_resumed_do_not_pile_up(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    certificates = Certificates("mx", settings(written(tmp_path / "mx.pem", signed("mx"))))
    peer = client(newest)
    most = 0
    for number in range(1100):
        context = certificates.context(asks=False)
        ended(*shaken(context, peer))
        most = max(most, context.session_stats()["number"])
        if number % 50 == 0:
            certificates.look()
    assert most <= 1060
    assert certificates.context(asks=False).session_stats()["number"] < 200


def test_metrics_tell_when_a_certificate_ends_and_how_often_a_new_one_could_not_be_used(tmp_path: Path) -> None:
    pair = signed("mx", days=40)
    path = written(tmp_path / "mx.pem", pair)
    certificates = Certificates("measured", settings(path))
    expires = REGISTRY.get_sample_value(
        "gatepost_edge_certificate_expires_timestamp_seconds", {"listener": "measured", "file": str(path)}
    )
    assert expires == pair[0].not_valid_after_utc.timestamp()
    path.write_text("nothing")
    certificates.look()
    failures = "gatepost_edge_certificates_not_reloaded_total"
    assert REGISTRY.get_sample_value(failures, {"listener": "measured"}) == 1
