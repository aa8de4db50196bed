"""Which trace and which span a mail's work belongs to, said by its id alone (PURE).

Output: identifiers and the choice of OpenTelemetry's traces, the same in every stage without a word between them; why:
docs/adr/3-trace-ids.md.
Standards: W3C Trace Context Level 2 §5 (randomness of trace ids), OpenTelemetry's consistent probability sampling.
"""

from hashlib import blake2b

from shared.ids import id_bits

_RANDOM_BITS = 56
_RANDOM = (1 << _RANDOM_BITS) - 1


def trace_of(message_id: str) -> int:
    """Return the trace id of a mail: the 128 bits of its id; a hash of what is no id of ours."""
    try:
        return id_bits(message_id)
    except ValueError:
        return int.from_bytes(blake2b(message_id.encode(), digest_size=16).digest()) or 1


def span_of(message_id: str, stage: str, visit: int = 0) -> int:
    """Return the span id of a stage's work on a mail. visit: how many times that stage had put it off before."""
    return int.from_bytes(blake2b(f"{message_id} {stage} {visit}".encode(), digest_size=8).digest()) or 1


def is_traced(trace_id: int, ratio: float) -> bool:
    """Tell whether a mail is among those that are traced. ratio: which part of all is, 0 to 1."""
    # The last 56 bits of a UUIDv7 are random, as those of a trace id ought to be.
    return trace_id & _RANDOM >= round((1 - ratio) * (1 << _RANDOM_BITS))
