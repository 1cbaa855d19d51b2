"""Run by Alembic for each command: migrates the connection that `store.upgrade` gives, inside its transaction."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import Column, Text, event

from windlass.store.tables import metadata


def _in_order_of_bytes(column: Column[Any], _: object) -> None:
    """Give a column of text the order that `store.columns.Text` has on PostgreSQL."""
    if type(column.type) is Text and column.type.collation is None:
        column.type = Text(collation="C")


context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
if context.get_context().dialect.name == "postgresql":
    event.listen(Column, "after_parent_attach", _in_order_of_bytes)
try:
    context.run_migrations()
finally:
    if event.contains(Column, "after_parent_attach", _in_order_of_bytes):
        event.remove(Column, "after_parent_attach", _in_order_of_bytes)
