"""A clock for tests."""


class Clock:
    """A clock that is turned by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
