"""Whether each clamd reports what it could not look into (I/O: sockets with a deadline).

Input: the addresses in `[doctor]`. Output: a finding per setting of clamd.conf that is missing (shared/clamd_proof.py),
none where all is reported; one that does not answer is scanners.py's matter.
"""

import asyncio
import struct

from services.console.doctor.finding import Finding, warning
from services.console.doctor.scanners import open_address
from services.console.settings import DoctorSettings
from shared.clamd_proof import proofs

_DEADLINE_S = 8.0
_ANSWER_BYTES = 4096
_OK = b"stream: OK\0"


async def clamd_limits(settings: DoctorSettings) -> list[Finding]:
    """Ask every clamd for a word on files that no clamd can look into."""
    asked = [_ask(address, setting) for address in settings.clamd for setting in proofs()]
    return [finding for finding in await asyncio.gather(*asked) if finding is not None]


async def _ask(address: str, setting: str) -> Finding | None:
    proof = proofs()[setting]
    try:
        async with asyncio.timeout(_DEADLINE_S):
            reader, writer = await open_address(address)
            try:
                writer.write(b"".join((b"zINSTREAM\0", struct.pack("!L", len(proof)), proof, b"\0\0\0\0")))
                answer = await reader.read(_ANSWER_BYTES)
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return None
    if answer != _OK:
        return None
    return warning(
        "clamd",
        f"{address} says OK to what it cannot look into, so that the policy never hears of it",
        f"write `{setting} yes` into its clamd.conf, and start it again",
    )
