"""Alerts about what the pipeline leans on: broker, engines, certificates, disks, DKIM records, clocks (PURE)."""

from collections.abc import Iterator

from services.console.doctor.finding import Level
from services.console.pulse.alert import Alert, Severity
from services.console.pulse.facts import Broker, Certificate, Node, Status, Surroundings
from services.console.story.told import moment, span

CERTIFICATE_SOON_S = 21 * 86_400.0
SIGNATURES_OLD_S = 3 * 86_400.0
SIGNATURES_TOO_OLD_S = 10 * 86_400.0
_DISK_LOW_SHARE = 0.1
_DISK_WRONG_BYTES = 1_000_000_000
# Of the limit of the broker's disk alarm: from so many times it on, it is near.
_NEAR = 3


def of_surroundings(status: Status) -> Iterator[Alert]:
    """Yield the alerts."""
    if status.broker is not None:
        yield from _broker(status.broker)
    if status.surroundings is not None:
        yield from _surroundings(status.surroundings, status.at)


def _broker(broker: Broker) -> Iterator[Alert]:
    for node in broker.nodes:
        yield from _node(node)


def _node(node: Node) -> Iterator[Alert]:
    key = f"node {node.name}"
    if not node.running:
        yield Alert(Severity.CRITICAL, key, f"The broker's node {node.name} is down.", "Start it.")
        return
    stopped = "Publishers are held back: edge answers 451, and nothing moves."
    if node.memory_alarm:
        yield Alert(
            Severity.CRITICAL,
            f"{key} memory",
            f"The broker's node {node.name} has its memory alarm on. {stopped}",
            "Give it more memory, or see which queue fills it.",
            "/queues",
        )
    if node.disk_alarm:
        yield Alert(
            Severity.CRITICAL,
            f"{key} disk",
            f"The broker's node {node.name} has its disk alarm on: {_gigabytes(node.disk_free_bytes)} free. {stopped}",
            "Free some space on its disk, or enlarge it.",
        )
    elif 0 < node.disk_free_bytes < _NEAR * node.disk_limit_bytes:
        yield Alert(
            Severity.WARNING,
            f"{key} disk",
            f"The disk of the broker's node {node.name} fills: {_gigabytes(node.disk_free_bytes)} free, "
            f"it stops at {_gigabytes(node.disk_limit_bytes)}.",
            "Free some space on its disk, or enlarge it.",
        )


def _surroundings(around: Surroundings, now: float) -> Iterator[Alert]:
    for engine in around.engines:
        if not engine.well:
            yield Alert(
                Severity.CRITICAL,
                f"engine {engine.kind} {engine.address}",
                f"{engine.kind} does not answer as it should: {engine.said}.",
                engine.mend[:1].upper() + engine.mend[1:] + ".",
            )
        age_s = now - engine.signatures_at if engine.signatures_at is not None else 0.0
        if age_s > SIGNATURES_OLD_S:
            yield Alert(
                Severity.CRITICAL if age_s > SIGNATURES_TOO_OLD_S else Severity.WARNING,
                f"signatures {engine.address}",
                f"The signatures of ClamAV at {engine.address} are {span_days(age_s)} old.",
                "See why freshclam does not fetch new ones: its log, its service, the way to the internet.",
            )
    for certificate in around.certificates:
        yield from _certificate(certificate, now)
    for disk in around.disks:
        if disk.free_bytes < _DISK_WRONG_BYTES or disk.free_bytes < _DISK_LOW_SHARE * disk.total_bytes:
            wrong = disk.free_bytes < _DISK_WRONG_BYTES
            free = f"{_gigabytes(disk.free_bytes)} of {_gigabytes(disk.total_bytes)}"
            yield Alert(
                Severity.CRITICAL if wrong else Severity.WARNING,
                f"disk {disk.path}",
                f"The disk of {disk.path} fills: {free} are free.",
                "Free some space or enlarge it: without room nothing is recorded, and RabbitMQ holds publishers back.",
            )
    for key in around.missing_keys:
        yield Alert(
            Severity.WARNING,
            f"dkim {key.selector} {key.domain}",
            f"DNS has no usable record of the DKIM key {key.selector} of {key.domain}, which signs ({key.state}).",
            f"Publish the record that `gatepost dkim show {key.domain}` prints.",
            f"/domains/{key.domain}",
        )
    for finding in around.clocks:
        if finding.level is not Level.GOOD:
            severity = Severity.CRITICAL if finding.level is Level.WRONG else Severity.WARNING
            whose = finding.text.partition(" is ")[0]
            yield Alert(severity, f"clock {whose}", f"A clock is off: {finding.text}.", f"{finding.mend}.")
    for skew in around.skews:
        yield _skewed(skew.host or "a host without a name", skew.other or "a host without a name", skew.ahead_s)


def _certificate(certificate: Certificate, now: float) -> Iterator[Alert]:
    key = f"certificate {certificate.where}"
    renew = "Have it renewed and put the new one in its place; it is taken without a restart."
    if certificate.ends_at is None:
        yield Alert(
            Severity.WARNING, key, f"The certificate {certificate.where} cannot be read: {certificate.problem}.", renew
        )
    elif certificate.ends_at <= now:
        yield Alert(
            Severity.CRITICAL,
            key,
            f"The certificate {certificate.where} expired at {moment(certificate.ends_at)}.",
            renew,
        )
    elif certificate.ends_at - now < CERTIFICATE_SOON_S:
        left = span_days(certificate.ends_at - now)
        yield Alert(Severity.WARNING, key, f"The certificate {certificate.where} expires in {left}.", renew)


def _skewed(host: str, other: str, ahead_s: float) -> Alert:
    way = "ahead of" if ahead_s > 0 else "behind"
    return Alert(
        Severity.WARNING,
        f"clock {host} {other}",
        f"The clock of {host} is {span(abs(ahead_s))} {way} that of {other}: bans, limits and the trace go by it.",
        "Have both kept by NTP (chrony, systemd-timesyncd).",
    )


def span_days(seconds: float) -> str:
    """Return a length of time in days where it is that long."""
    days = int(seconds // 86_400)
    return span(seconds) if days < 1 else f"{days} day{'' if days == 1 else 's'}"


def _gigabytes(octets: int) -> str:
    return f"{octets / 1e9:.1f} GB"
