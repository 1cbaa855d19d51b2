"""Run by Alembic for each command: migrates the connection that `store.upgrade` gives, inside its transaction."""

from __future__ import annotations

from alembic import context

from windlass.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
