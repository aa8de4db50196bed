"""What all connections of one listener share."""

from services.edge.handler import EdgeHandler
from services.edge.limits import Sessions
from services.edge.tls.certificates import Certificates


class Door:
    """A listener as its connections see it. name: of its rules in the policy. certificates: None where it has none."""

    def __init__(
        self, name: str, handler: EdgeHandler, sessions: Sessions, certificates: Certificates | None = None
    ) -> None:
        self.name = name
        self.handler = handler
        self.sessions = sessions
        self.certificates = certificates
