"""SPF over the resolver (RFC 7208). Asynchronous, but I/O only through the resolver that it is given.

On failure: DNS that fails is temperror. Raises nothing but cancellation: the caller sets the deadline.
"""

from shared.auth.spf import evaluate_helo, evaluate_spf
from shared.auth.spf_result import SpfResult, SpfResults
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.dns.together import both


async def check_spf(resolver: Resolver, address: str, helo: str, sender: str, receiver: str) -> SpfResult:
    """Return the SPF result for a client's address, its HELO name and MAIL FROM ("" for the null sender).

    receiver: our own name, for the macro %{r}.
    """
    return await replay(resolver, lambda lookup: evaluate_spf(address, sender, helo, lookup, receiver=receiver))


async def check_spf_identities(resolver: Resolver, address: str, helo: str, sender: str, receiver: str) -> SpfResults:
    """Return the results for MAIL FROM and for the HELO name, looked up side by side; the parameters as in check_spf.

    RFC 7208 §2.3: it is recommended to check the HELO name, too, and to do so separately.
    """
    mail_from = check_spf(resolver, address, helo, sender, receiver)
    # RFC 7208 §2.4: with the null sender, MAIL FROM is postmaster@HELO, so the HELO name is checked already.
    if not sender:
        return SpfResults(await mail_from, None)
    helo_name = replay(resolver, lambda lookup: evaluate_helo(address, helo, lookup, receiver=receiver))
    return SpfResults(*await both(mail_from, helo_name))
