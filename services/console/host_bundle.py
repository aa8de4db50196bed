"""What another host needs to join the gateway, as one tar file (I/O: files).

Owns: which files a bundle holds: the authority's certificate, the host's own pair, and for each of its services the
settings that it shares with the other hosts (the broker's address, its password there, secrets of the gateway).
Input: the authority, and the folder of shared settings that `make install` writes on the broker's host, a file for
each service.
On failure: BundleError naming the file.
"""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.console.authority import Authority
from shared.broker.topology import RIGHTS

CA, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"
_MOST_BYTES = 1_000_000


class BundleError(Exception):
    """A bundle that cannot be made or read."""


def bundle_files(
    authority: Authority, shared: Path, names: Sequence[str], services: Sequence[str], *, anew: bool = False
) -> dict[str, bytes]:
    """Return a host's bundle by file name. names: of the host, the first its label. Raises BundleError."""
    files = {}
    for service in services:
        path = shared / f"{service}.toml"
        if service not in RIGHTS:
            raise BundleError(f"{service}: no service; there are {', '.join(RIGHTS)}")
        try:
            files[path.name] = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{error}: on the broker's host, `make install` writes it") from None
    try:
        certificate, key = authority.host_certificate(names[0], tuple(names), anew=anew)
    except ValueError as error:
        raise BundleError(str(error)) from None
    return {**files, CA: authority.certificate_pem, CERTIFICATE: certificate, KEY: key}


def write_bundle(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle for its owner alone, as are the files in it. Raises BundleError."""
    draft = path.with_name(f".{path.name}")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        with tarfile.open(draft, "w") as archive:
            for name, content in sorted(files.items()):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o600
                archive.addfile(entry, io.BytesIO(content))
        draft.rename(path)
    except OSError as error:
        raise BundleError(f"{path}: {error}") from None


def read_bundle(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle, none of which leads anywhere else. Raises BundleError."""
    known = {CA, CERTIFICATE, KEY, *(f"{service}.toml" for service in RIGHTS)}
    files = {}
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                if entry.name not in known or content is None or entry.size > _MOST_BYTES:
                    raise BundleError(f"{path}: {entry.name[:100]!r} does not belong into a bundle")
                files[entry.name] = content.read()
    except (OSError, tarfile.TarError) as error:
        raise BundleError(f"{path}: {error}") from None
    missing = {CA, CERTIFICATE, KEY} - files.keys()
    if missing:
        raise BundleError(f"{path}: {', '.join(sorted(missing))} is missing")
    return files
