"""An envelope for tests of PURE modules."""

from shared.envelope import Client, Direction, Envelope, Proof, Recipient

NOW = 1_790_000_000.0


def envelope_of(*recipients: Recipient | str, **changes: object) -> Envelope:
    """Return an envelope received a minute before NOW, of a proved sender."""
    values: dict[str, object] = {
        "id": "01m85t0eqgexc9bk1tptb1bxcz",
        "received_at": NOW - 60,
        "listener": "mx",
        "direction": Direction.INBOUND,
        "client": Client("192.0.2.9", 4711, "client.example"),
        "sender": "a@client.example",
        "recipients": tuple(Recipient(to) if isinstance(to, str) else to for to in recipients or ("b@example.org",)),
        "size_bytes": 100,
        "proved": Proof.SPF,
    }
    return Envelope(**(values | changes))  # type: ignore[arg-type]
