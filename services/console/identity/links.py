"""How browsers reach the console (PURE): links to it, and the names that passkeys are bound to."""

from urllib.parse import quote, urlsplit

from services.console.settings import ConsoleSettings

_HTTPS_PORT = 443


def public_url(settings: ConsoleSettings) -> str:
    """Return the address of the console without a slash at its end."""
    web = settings.web
    if web is not None and web.public_url:
        return web.public_url
    port = web.port if web is not None else 0
    return f"https://{settings.hostname}" + (f":{port}" if port not in {0, _HTTPS_PORT} else "")


def first_link(settings: ConsoleSettings, secret: str) -> str:
    """Return the link by which the first administrator comes in."""
    return f"{public_url(settings)}/first/{quote(secret, safe='')}"


def invitation_link(settings: ConsoleSettings, secret: str) -> str:
    """Return the link by which a user sets a password."""
    return f"{public_url(settings)}/invited/{quote(secret, safe='')}"


def relying_party(settings: ConsoleSettings) -> str:
    """Return the name that passkeys are bound to. Standard: WebAuthn level 3 §5.1.2 (a domain, without a port)."""
    return urlsplit(public_url(settings)).hostname or settings.hostname
