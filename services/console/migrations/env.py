"""Run by Alembic: applies the steps on the connection that services.console.database hands over."""

from alembic import context

from services.console.identity import tables as _users_too  # noqa: F401 - they are of the same metadata
from services.console.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
