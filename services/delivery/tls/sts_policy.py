"""The MTA-STS policy of a domain as delivery goes by it (PURE): what was published, how long it holds, its kept form.

Input: the octets of a policy file. Output: `StsPolicy`, and its form in the shared state.
Standards: RFC 8461 §3.2 (how long), §4.1 (which hosts); shared/mta_sts.py reads what is published.
On failure: PolicyInvalid, which says what is wrong.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from shared.mta_sts import MAX_AGE_S, PolicyInvalid, PublishedPolicy, StsMode, names, read_policy

# Policies are kept, of thousands of domains that strangers choose; two hundred names of hosts are no longer.
_NAMES_LIMIT_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A domain's policy. id: of the record it was fetched for. lines: for reports. fetched_at: Unix seconds."""

    id: str
    mode: StsMode
    mx: tuple[str, ...]
    max_age_s: int
    fetched_at: float
    lines: tuple[str, ...] = ()

    @property
    def expires_at(self) -> float:
        """Until when it holds."""
        return self.fetched_at + self.max_age_s

    def names(self, host: str) -> bool:
        """Whether it names a host as one of the domain's mail servers."""
        return names(self.mx, host)


def parse_policy_file(content: bytes, identifier: str, now: float) -> StsPolicy:
    """Return the policy of a file. Raises PolicyInvalid."""
    read = read_policy(content)
    if sum(map(len, read.mx)) > _NAMES_LIMIT_BYTES:
        raise PolicyInvalid(f"its mx have more than {_NAMES_LIMIT_BYTES} octets")
    # RFC 8461 §3.2: a year at most, whatever it says.
    return StsPolicy(identifier, read.mode, read.mx, min(read.max_age_s, MAX_AGE_S), now, _told(read))


def _told(read: PublishedPolicy) -> tuple[str, ...]:
    # RFC 8460 §4.4: the policy as it was applied.
    return (
        "version: STSv1",
        f"mode: {read.mode}",
        *(f"mx: {name}" for name in read.mx),
        f"max_age: {read.max_age_s}",
    )


_FORM = TypeAdapter(StsPolicy)


def encode_policy(policy: StsPolicy) -> str:
    """Return a policy as it is kept."""
    return _FORM.dump_json(policy).decode()


def decode_policy(text: str) -> StsPolicy | None:
    """Return a policy that was kept, None for what is none."""
    try:
        return _FORM.validate_json(text)
    except ValidationError:
        return None
