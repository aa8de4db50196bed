"""Run by Alembic: applies the steps on the connection that services.console.database hands over."""

from alembic import context

from services.console.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
