"""Carrying out an exchange without a connection."""

from collections.abc import Callable

from services.edge.auth.exchange import Claim, Exchange, advance


def finish(exchange: Exchange, *responses: bytes | Callable[[bytes], bytes]) -> Claim:
    """Answer each challenge with the next response, or with what one makes of it; return the claim."""
    step = advance(exchange, None)
    for response in responses:
        assert isinstance(step, bytes), "the exchange ended early"
        step = advance(exchange, response if isinstance(response, bytes) else response(step))
    assert not isinstance(step, bytes), "the exchange did not end"
    return step
