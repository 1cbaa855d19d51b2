"""Workers in processes of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; all workers were part of the owner until now."""
    op.create_table(
        "remote_workers",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name=op.f("pk_remote_workers")),
    )
    op.create_index("ix_remote_workers_worker", "remote_workers", ["worker_id"])
