"""Waits for events: what each waits for, and how far the events were read for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; no task waits for an event yet."""
    op.create_table(
        "event_waits",
        sa.Column("run_id", sa.LargeBinary(16), nullable=False),
        sa.Column("task", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "task", name=op.f("pk_event_waits")),
        sqlite_with_rowid=False,
    )
