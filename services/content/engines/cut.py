"""The beginning of a message that is too large for an engine (PURE)."""


def beginning(message: bytes, limit_bytes: int) -> bytes:
    """Return the message, or of a larger one as many whole lines as fit (half a line, if the first is longer)."""
    if len(message) <= limit_bytes:
        return message
    return message[: message.rfind(b"\n", 0, limit_bytes) + 1 or limit_bytes]
