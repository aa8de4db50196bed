"""How our keys are named in Redis (PURE): all begin with `gatepost:`, so that others may use the same database."""

# A hash: when each process was last heard. It has no lifetime, so that no lack of memory removes it.
PROCESSES = "gatepost:processes"
_VALUES = "gatepost:value:"


def window_key(key: str, per_s: int) -> str:
    """Return the name of what is counted under a key, in windows of one length."""
    return f"gatepost:rate:{per_s}:{key}"


def places_key(key: str) -> str:
    """Return the name of the places of a key."""
    return f"gatepost:places:{key}"


def value_key(key: str) -> str:
    """Return the name of a value."""
    return _VALUES + key


def plain_key(name: str) -> str:
    """Return the key of a value's name."""
    return name.removeprefix(_VALUES)


def values_pattern(prefix: str) -> str:
    """Return the pattern that the names of all values with a prefix match, and no others."""
    return _VALUES + "".join(f"\\{sign}" if sign in "\\*?[]^-" else sign for sign in prefix) + "*"
