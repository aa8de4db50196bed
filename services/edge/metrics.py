"""What Prometheus learns of the edge."""

from prometheus_client import Counter, Gauge, Histogram

SESSIONS = Counter("gatepost_edge_sessions_total", "SMTP sessions begun", ["listener"])
REFUSALS = Counter("gatepost_edge_refusals_total", "Sessions, commands and messages refused, by reason", ["reason"])
ANSWERS = Counter(
    "gatepost_edge_answers_total", "Answers to whole messages, by verdict and reply code", ["verdict", "code"]
)
RECEIVED_BYTES = Counter("gatepost_edge_received_bytes_total", "Octets of messages received")
LOGINS = Counter("gatepost_edge_logins_total", "Attempts to log in, by result", ["result"])
SAID_DROPPED = Counter("gatepost_edge_said_dropped_total", "`said` messages that could not be sent; content asks again")
WAITED = Histogram(
    "gatepost_edge_verdict_wait_seconds",
    "Time from the end of a message to its answer",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60),
)
OPEN_SESSIONS = Gauge("gatepost_edge_open_sessions", "SMTP sessions open now", multiprocess_mode="livesum")
IN_FLIGHT_BYTES = Gauge(
    "gatepost_edge_in_flight_bytes", "Octets of messages taken from the budget", multiprocess_mode="livesum"
)
WAITING = Gauge("gatepost_edge_waiting", "Messages whose verdict is awaited", multiprocess_mode="livesum")
REMEMBERED = Gauge(
    "gatepost_edge_remembered_answers",
    "4xx and 5xx answers that content can still ask for",
    multiprocess_mode="livesum",
)
CONTENT_ALIVE = Gauge("gatepost_edge_content_processes", "Content processes heard lately", multiprocess_mode="livemax")
BACKGROUND_DROPPED = Counter(
    "gatepost_edge_background_dropped_total", "Small work dropped because too much was waiting"
)
TARPITTED = Gauge(
    "gatepost_edge_tarpitted_sessions", "Refused sessions kept busy on purpose", multiprocess_mode="livesum"
)
