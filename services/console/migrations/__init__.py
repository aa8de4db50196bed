"""Alembic's steps from an empty database to tables.py; each file in versions/ is one, never changed once released."""
