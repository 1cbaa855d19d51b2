"""Failed tasks that nobody has queued again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_DEAD = (
    "allowed = 0 AND requeued_as IS NULL AND (state = 'failed' OR state = 'timeout') "
    "AND coalesce(reason, '') <> 'run_deadline'"
)


def upgrade() -> None:
    """Give final tasks the run that they were queued again as, and those that were not an index of their own."""
    op.add_column("tasks", sa.Column("requeued_as", sa.LargeBinary(length=16)))
    op.create_index(
        "ix_tasks_dead",
        "tasks",
        ["run_id", "task"],
        sqlite_where=sa.text(_DEAD),
        postgresql_where=sa.text(_DEAD),
    )
