"""Asking the directory for recipients (I/O through edge's directory).

On failure: NoDirectory where the settings name none; what the directory raises, as it is.
"""

import asyncio
from typing import Protocol

from services.edge.decide.recipient import Known

DEADLINE_S = 9.0


class Directory(Protocol):
    """The directory of edge's settings."""

    async def has_recipient(self, address: str) -> bool:
        """Whether it has an entry for an address. Raises DirectoryUnavailable."""


class NoDirectory(Exception):
    """The policy wants the directory asked, and edge's settings name none."""


class LdapRecipients:
    """The directory as one who knows recipients."""

    def __init__(self, directory: Directory | None, *, deadline_s: float = DEADLINE_S) -> None:
        self._directory = directory
        self._deadline_s = deadline_s

    async def ask(self, recipient: str) -> Known:
        """Return what the directory says. Raises NoDirectory, TimeoutError, DirectoryUnavailable."""
        if self._directory is None:
            raise NoDirectory('recipients = "ldap" needs [ldap] in the settings of edge')
        async with asyncio.timeout(self._deadline_s):
            return Known.YES if await self._directory.has_recipient(recipient) else Known.NO
