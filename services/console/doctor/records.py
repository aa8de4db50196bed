"""What is written down: the database, the policy (I/O: SQL, the policy stream)."""

from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from services.console.actions.desk import ActionError
from services.console.actions.policy_stream import read_stream
from services.console.database import NEWEST_REVISION, Database
from services.console.doctor.finding import Finding, good, warning, wrong
from services.console.settings import ConsoleSettings
from shared.policy import PolicyError, parse_policy
from shared.policy_entry import in_force


async def database(settings: ConsoleSettings) -> list[Finding]:
    """Look whether the database answers and has the tables of this version."""
    opened = Database(settings.database.url.get_secret_value())
    try:
        revision = await opened.revision()
    except (SQLAlchemyError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return [wrong("database", f"{opened.where}: {first}", "start the database, or correct [database] url")]
    finally:
        await opened.close()
    if revision != NEWEST_REVISION:
        text = f"{opened.where} is at revision {revision or 'none'}, this version needs {NEWEST_REVISION}"
        return [wrong("database", text, "start the recorder: it brings the tables to its version")]
    return [good("database", f"{opened.where} answers, revision {revision}")]


async def policy(settings: ConsoleSettings, now: float) -> list[Finding]:
    """Look which policy is in force, and whether the policy file says the same."""
    path = settings.doctor.policy_file
    file = path or Path("policy.toml")
    apply = f'gatepost policy apply {file} --reason "…"'
    try:
        entry = in_force(await read_stream(settings.broker), now)
    except ActionError as error:
        return [wrong("policy", str(error), "gatepost topology apply, if the broker runs")]
    if entry is None:
        return [wrong("policy", "none is in force: no service is ready and edge does not listen", apply)]
    active = good("policy", f"version {entry.version} by {entry.author} is in force: {entry.reason}")
    if path is None:
        return [active]
    try:
        text = path.read_text(encoding="utf-8")
        parse_policy(text)
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        return [active, warning("policy file", f"{path}: {error}", f"gatepost policy check {path}")]
    if text != entry.text:
        return [
            active,
            warning("policy file", f"{path} differs from version {entry.version}, which is in force", apply),
        ]
    return [active, good("policy file", f"{path} is the policy in force")]
