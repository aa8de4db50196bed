"""TLS handshakes in memory."""

import ssl


def shaken(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Return both ends, the server's first, after a handshake."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, session=session)
    for end in (theirs, ours) * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return ours, theirs


def ended(*ends: ssl.SSLObject) -> None:
    """Close a connection as both ends should."""
    for end in (*ends, *ends):
        try:
            end.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            continue


def client(newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    return context
