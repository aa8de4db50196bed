"""The country of an address, out of a database in MaxMind's format (I/O: reads one file).

Input: the setting `country_database`. The file is looked at again now and then, and read anew when it has changed.
On failure: SettingsError at start; later it is logged, and the last good database stays.
"""

import time
from collections.abc import Callable
from pathlib import Path

import maxminddb
import structlog

from shared.errors import SettingsError
from shared.policy import Policy
from shared.policy.client import plain_ip

_log = structlog.get_logger()
_LOOK_AGAIN_S = 60.0


class Countries:
    """The database, or none. Raises SettingsError if the file cannot be used."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._reader: maxminddb.Reader | None = None
        self._version = (0, 0)
        self._look_again_at = clock() + _LOOK_AGAIN_S
        if path is not None:
            try:
                self._version = _version(path)
                self._reader = _read(path)
            except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
                raise SettingsError(f"country_database: {path}: {error}") from None

    @property
    def is_there(self) -> bool:
        """Whether there is a database."""
        return self._reader is not None

    def of(self, address: str) -> str | None:
        """Return the country's code of ISO 3166-1, None if the database has none for the address."""
        if self._reader is None:
            return None
        if self._clock() >= self._look_again_at:
            self._look_again()
        try:
            record = self._reader.get(plain_ip(address))
        except (ValueError, maxminddb.InvalidDatabaseError):
            # An IPv6 address in a database of IPv4 alone, or a broken place in the file.
            return None
        country = record.get("country") if isinstance(record, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) else None

    def _look_again(self) -> None:
        self._look_again_at = self._clock() + _LOOK_AGAIN_S
        assert self._path is not None
        try:
            version = _version(self._path)
            if version == self._version:
                return
            # Also where it cannot be read: it is told once, and read again when it changes again.
            self._version = version
            self._reader = _read(self._path)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            _log.error("country-database-not-read", path=str(self._path), cause=str(error))
        else:
            _log.info("country-database-read", path=str(self._path))


def warn_without_database(policy: Policy, countries: Countries) -> bool:
    """Say it in the log where rules name countries that nobody can tell; return whether that is so."""
    rules = [
        *policy.access,
        *(rule for listener in policy.listeners.values() for rule in listener.access),
        *(rule.match for rule in policy.clients),
        *policy.greylist.exempt,
    ]
    in_vain = not countries.is_there and any(rule.countries for rule in rules)
    if in_vain:
        _log.warning("countries-without-database", cause="rules name countries, which match nobody")
    return in_vain


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def _read(path: Path) -> maxminddb.Reader:
    # Deliberately into memory: a mapped file that is overwritten in place would end the process.
    return maxminddb.open_database(path, maxminddb.MODE_MEMORY)
