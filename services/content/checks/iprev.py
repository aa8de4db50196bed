"""The check `iprev`: whether the client's address has a name that leads back to it (RFC 8601 §3). I/O: resolver.

On failure: DNS that fails, or takes longer than TIMEOUT_S, is temperror.
"""

import asyncio

from services.content.finding import Finding
from shared.auth.iprev import NOT_KNOWN, ReverseResult, ReverseWord, confirmed_name
from shared.dns.answer import Resolver
from shared.envelope import Client
from shared.verdict import CheckName

# Well under the time that a whole examination has.
TIMEOUT_S = 5.0

_RULES = {ReverseWord.FAIL: "fail", ReverseWord.PERMERROR: "permerror"}
_SENTENCES = {
    ReverseWord.PASS: "The name of {address} is {name}, which leads back to it.",
    ReverseWord.FAIL: "No name that the reverse DNS gives for {address} leads back to it.",
    ReverseWord.PERMERROR: "There is no name for {address} in the reverse DNS.",
    ReverseWord.TEMPERROR: "The name of {address} could not be fetched from DNS.",
}


async def check_iprev(resolver: Resolver, client: Client, *, timeout_s: float = TIMEOUT_S) -> ReverseResult:
    """Return what DNS says of the client's name. What edge has confirmed already is not asked again."""
    if client.name:
        return ReverseResult(ReverseWord.PASS, client.name)
    try:
        async with asyncio.timeout(timeout_s):
            return await confirmed_name(resolver, client.address)
    except TimeoutError:
        return NOT_KNOWN


def iprev_finding(result: ReverseResult, address: str, *, matters: bool) -> Finding:
    """Return the result as a finding. matters: whether the policy acts upon it; then not knowing defers."""
    rule = _RULES.get(result.word, "")
    return Finding(
        CheckName.IPREV,
        result.word.value,
        _SENTENCES[result.word].format(address=address, name=result.name),
        rule,
        unsure=matters and result.word is ReverseWord.TEMPERROR,
        input=f"client {address}",
        change=f"a PTR record of {address} with a name that has {address} among its own addresses" if rule else "",
    )
