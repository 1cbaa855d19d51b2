"""Runs that are to be deleted, found without looking at all the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_DELETING = "deleting = 1"


def upgrade() -> None:
    """Add the index; nothing has set the mark before."""
    op.create_index(
        "ix_runs_deleting",
        "runs",
        ["id"],
        sqlite_where=sa.text(_DELETING),
        postgresql_where=sa.text(_DELETING),
    )
