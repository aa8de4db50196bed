"""The client's confirmed name within the time that the policy gives it (I/O: resolver).

Standards: RFC 8601 §3 (iprev); the evaluation is in shared/auth/iprev.py.
On failure: what takes longer is temperror: the name is then unknown, not missing.
"""

import asyncio

from shared.auth import iprev
from shared.auth.iprev import ReverseResult
from shared.dns.answer import Resolver


async def confirmed_name(resolver: Resolver, address: str, timeout_s: float) -> ReverseResult:
    """Return the client's confirmed name, within the time. Raises nothing but cancellation."""
    try:
        async with asyncio.timeout(timeout_s):
            return await iprev.confirmed_name(resolver, address)
    except TimeoutError:
        return iprev.NOT_KNOWN
