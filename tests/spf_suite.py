"""The openspf test suite for RFC 7208, out of pyspf's source distribution; its licence asks for its notice with each
copy, so that none is kept here.

Owns: fetching the distribution that requirements.lock names, with its hash, once per environment; reading the suite.
`python -m tests.spf_suite` fetches it, so that the tests need no network. On failure: NoSuite.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_LOCK = Path(__file__).parents[1] / "requirements.lock"
_KEPT = Path(sys.prefix) / "share" / "gatepost-tests"
_MEMBER = "test/rfc7208-tests.yml"
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--no-binary")
_FETCH_S = 90
# What the suite's records are asked for; a name that times out does so for all of them.
TYPES = ("A", "AAAA", "CNAME", "MX", "PTR", "TXT")


class NoSuite(Exception):
    """The distribution is not here, and cannot be fetched now."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question and what may be answered. results: the preferred first. explanation: None: not told."""

    name: str
    section: str
    client: str
    helo: str
    sender: str
    receiver: str
    results: tuple[str, ...]
    explanation: str | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Cases over one zone. zone: a master file. silent: what is never answered."""

    name: str
    cases: tuple[Case, ...]
    zone: str
    silent: tuple[tuple[str, str], ...]


def suite() -> list[Scenario]:
    """Return the suite. Raises NoSuite."""
    archive = _archive()
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{_MEMBER}")
        if member is None:
            raise NoSuite(f"{archive.name} has no {_MEMBER}")
        return [_scenario(document) for document in yaml.safe_load_all(member.read())]


def _archive() -> Path:
    requirement = re.search(r"^pyspf==(\S+).*(?:\n +--hash=\S+.*)+", _LOCK.read_text("utf-8"), re.MULTILINE)
    if requirement is None:
        raise NoSuite("requirements.lock names no pyspf")
    kept = _KEPT / f"pyspf-{requirement[1]}.tar.gz"
    if not kept.exists():
        _fetch(requirement[0], kept)
    return kept


def _fetch(requirement: str, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(requirement.rstrip("\\") + "\n")
        command = [*_PIP, ":all:", "--no-build-isolation", "--require-hashes", "--dest", folder, "-r", str(wanted)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_S)
            # Renamed, so that a second run of the tests never reads half a file.
            (Path(folder) / kept.name).rename(kept)
        except (OSError, subprocess.SubprocessError) as error:
            cause = getattr(error, "stderr", None) or error
            raise NoSuite(f"pyspf's source distribution cannot be fetched: {str(cause).strip()[-300:]}") from error


def _scenario(document: Mapping[str, Any]) -> Scenario:
    lines: list[str] = []
    silent: list[tuple[str, str]] = []
    for name, entries in document["zonedata"].items():
        records = list(_records(entries))
        lines += [f"{_escaped_name(name)} 300 IN {rdtype} {_value(rdtype, value)}" for rdtype, value in records]
        if "TIMEOUT" in entries:
            silent += [(name, rdtype) for rdtype in TYPES if rdtype not in {known for known, _ in records}]
    cases = tuple(_case(name, fields) for name, fields in document["tests"].items())
    return Scenario(document["description"], cases, "\n".join(lines) + "\n", tuple(silent))


def _records(entries: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Return the records. SPF stands for TXT, except at names that have TXT too (RFC 7208 §3.1: type SPF is gone)."""
    pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
    has_txt = any(rdtype == "TXT" for rdtype, _ in pairs)
    for rdtype, value in pairs:
        if value != "NONE" and not (rdtype == "SPF" and has_txt):
            yield "TXT" if rdtype == "SPF" else rdtype, value


def _value(rdtype: str, value: Any) -> str:
    match rdtype:
        case "TXT":
            strings = [value] if isinstance(value, str) else value
            return " ".join(f'"{_escaped(text)}"' for text in strings) or '""'
        case "MX":
            return f"{value[0]} {_escaped_name(value[1])}"
        case "CNAME" | "PTR":
            return _escaped_name(value)
        case _:
            return str(value)


def _escaped_name(name: str) -> str:
    return ".".join(_escaped(label) for label in name.rstrip(".").split(".")) + "."


def _escaped(text: str) -> str:
    """Return the text's octets as a master file has them (RFC 1035 §5.1)."""
    return "".join(chr(octet) if chr(octet).isalnum() and octet < 128 else f"\\{octet:03d}" for octet in text.encode())


def _case(name: str, fields: Mapping[str, Any]) -> Case:
    results = fields["result"]
    return Case(
        name=name,
        section=str(fields.get("spec", "")),
        client=fields["host"],
        helo=fields["helo"],
        sender=fields["mailfrom"],
        receiver=fields.get("receiver") or "unknown",
        results=(results,) if isinstance(results, str) else tuple(results),
        explanation=fields.get("explanation"),
    )


if __name__ == "__main__":
    print(_archive())
