"""How much each service writes into its log (PURE)."""

from enum import StrEnum

from shared.policy.table import Table


class LogLevel(StrEnum):
    """From what on a line is written. debug: each hand-over, each question in DNS as well."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogRules(Table):
    """From which level on each service writes lines, at once and without a restart; without a key, what its settings
    say under `[log] level`. console: the recorder, too.
    """

    edge: LogLevel | None = None
    content: LogLevel | None = None
    delivery: LogLevel | None = None
    console: LogLevel | None = None

    def of(self, service: str) -> LogLevel | None:
        """Return the level of a service by the name it logs under."""
        return {
            "edge": self.edge,
            "content": self.content,
            "delivery": self.delivery,
            "console": self.console,
        }.get(service)
