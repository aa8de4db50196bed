"""RabbitMQ's own bounds: when it stops taking mail for want of disk or memory (I/O: its management API)."""

from services.console.actions.desk import ActionError
from services.console.doctor.finding import Finding, aside, good, warning, wrong
from services.console.management import ManagementError
from services.console.pulse.broker import ask_broker
from services.console.pulse.facts import Node
from services.console.settings import ConsoleSettings

# Below this limit the broker stops so late that nothing else on the disk has room (its default is 50 MB).
_LEAST_LIMIT = 500_000_000


async def nodes(settings: ConsoleSettings) -> list[Finding]:
    """Look at each node."""
    try:
        _, broker = await ask_broker(settings)
    except ActionError:
        return [aside("RabbitMQ's limits", "no [management]")]
    except (ManagementError, ValueError) as error:
        mend = "start RabbitMQ's management plugin, or correct [management] url, user and password"
        return [wrong("RabbitMQ's limits", str(error), mend)]
    return [finding for node in broker.nodes for finding in judge(node)]


def judge(node: Node) -> list[Finding]:
    """Return what is to be said of a node (PURE)."""
    topic = f"RabbitMQ {node.name}"
    if not node.running:
        return [wrong(topic, "this node does not run", "start it; with half of them down, queues stand still")]
    free, limit = _gb(node.disk_free_bytes), _gb(node.disk_limit_bytes)
    found = []
    if node.disk_alarm:
        text = f"its disk alarm holds all publishers back: {free} free, its limit is {limit}"
        found.append(wrong(topic, text, "free some space there: mail is answered with 451 until then"))
    elif node.disk_limit_bytes and node.disk_free_bytes < 2 * node.disk_limit_bytes:
        text = f"{free} free, and at {limit} it takes no more mail"
        found.append(warning(topic, text, "free some space, or enlarge the disk"))
    if 0 < node.disk_limit_bytes < _LEAST_LIMIT:
        text = f"its limit of free disk is {limit}: it would stop too late"
        found.append(warning(topic, text, "write disk_free_limit.absolute = 2GB into its rabbitmq.conf"))
    if node.memory_alarm:
        used = f"{_gb(node.memory_bytes)} of {_gb(node.memory_limit_bytes)}"
        found.append(wrong(topic, f"its memory alarm holds all publishers back: {used}", "give it more memory"))
    return found or [good(topic, f"runs, {free} of disk free, limit {limit}")]


def _gb(octets: int) -> str:
    return f"{octets / 1e9:.1f} GB"
