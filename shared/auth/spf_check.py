"""SPF over the resolver (RFC 7208). Asynchronous, but I/O only through the resolver that it is given.

On failure: DNS that fails is temperror. Raises nothing but cancellation: the caller sets the deadline.
"""

from shared.auth.spf import evaluate_spf
from shared.auth.spf_result import SpfResult
from shared.dns.answer import Resolver
from shared.dns.replay import replay


async def check_spf(resolver: Resolver, address: str, helo: str, sender: str, receiver: str) -> SpfResult:
    """Return the SPF result for a client's address, its HELO name and MAIL FROM ("" for the null sender).

    receiver: our own name, for the macro %{r}.
    """
    return await replay(resolver, lambda lookup: evaluate_spf(address, sender, helo, lookup, receiver=receiver))
