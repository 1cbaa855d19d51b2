"""Indexes of migrations on tables that are there already."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op


def late_index(name: str, table: str, columns: Sequence[str], *, where: str | None = None) -> None:
    """Make an index on a table that may be long.

    On SQLite it is made here. On PostgreSQL everybody would wait for it: there it is made after the migration, beside
    the work, as every index that is declared and missing (`postgres.late_indexes`). So it must be one for speed alone:
    what is to be unique is made so one version before anything relies on it.
    """
    if op.get_context().dialect.name == "sqlite":
        op.create_index(name, table, list(columns), sqlite_where=None if where is None else sa.text(where))
