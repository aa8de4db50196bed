"""Throttling of failed logins by account (I/O: the shared state).

Owns: how many failures an account may see from one network, and from everywhere, before further attempts are put off
(never refused for good: who knows the password gets in a little later, so that nobody can lock somebody else out from
where that one comes). A network from which the login succeeded lately is not held back for what others try elsewhere.
An attempt that names no login (a ticket that cannot be read) is none of any account's. Failures of an address are
counted by services/edge/bans.py, by the refusals that they bring.
On failure: while the shared state is away, nobody is held back.
"""

from functools import lru_cache

from shared.policy.client import network_of, plain_ip
from shared.state.port import State, StateUnavailable

# Per account and network; and per account from everywhere, generous: a password list tried from a botnet.
NEAR = 10
NEAR_S = 600
ANYWHERE = 300
ANYWHERE_S = 3600
KNOWN_S = 30 * 86_400


class LoginThrottle:
    """Failures of all logins, known or not, so that an answer tells nothing of which exist."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def may_try(self, address: str, login: str) -> bool:
        """Whether a password of this login may be tried from this address now; else the answer is 454 4.7.0."""
        if not login:
            return True
        near, anywhere, good = _keys(address, login)
        try:
            here, everywhere, known = await self._state.get([near, anywhere, good])
        except StateUnavailable:
            return True
        return _number(here) < NEAR and (known is not None or _number(everywhere) < ANYWHERE)

    async def failed(self, address: str, login: str) -> None:
        """Count a failure."""
        if not login:
            return
        near, anywhere, _ = _keys(address, login)
        try:
            await self._state.add(near, 1, NEAR_S)
            await self._state.add(anywhere, 1, ANYWHERE_S)
        except StateUnavailable:
            return

    async def succeeded(self, address: str, login: str) -> None:
        """Forget the failures from this network, and know it as one of this login's."""
        near, _, good = _keys(address, login)
        try:
            await self._state.forget(near)
            await self._state.put(good, "1", KNOWN_S)
        except StateUnavailable:
            return


@lru_cache(maxsize=4096)
def _keys(address: str, login: str) -> tuple[str, str, str]:
    """Return the keys of the failures nearby, of those from anywhere, and of a success nearby."""
    name, network = login.lower()[:320], network_of(plain_ip(address))
    return f"login:{network}:{name}", f"login:anywhere:{name}", f"login-known:{network}:{name}"


def _number(value: str | None) -> int:
    return int(value) if value is not None and value.isdigit() else 0
