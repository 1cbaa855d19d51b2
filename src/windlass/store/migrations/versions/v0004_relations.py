"""What ties runs together: dependencies, children, results taken over, and deletion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_AWAITED = "awaited = 1 AND finished_at IS NOT NULL"
_CONDITION = "(condition = 'always' OR condition = 'failure' OR condition = 'success')"


def upgrade() -> None:
    """Add columns that most rows leave at their defaults, and a table that only runs with dependencies enter."""
    op.create_table(
        "run_dependencies",
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("on_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("settled", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "on_id", name=op.f("pk_run_dependencies")),
        sa.CheckConstraint(_CONDITION, name=op.f("ck_run_dependencies_condition")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_dependencies_open",
        "run_dependencies",
        ["on_id", "run_id"],
        sqlite_where=sa.text("settled = 0"),
        postgresql_where=sa.text("settled = 0"),
    )
    op.add_column("runs", sa.Column("awaited", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("runs", sa.Column("parent_task", sa.Integer()))
    op.add_column("runs", sa.Column("cascades", sa.SmallInteger(), server_default=sa.text("1"), nullable=False))
    op.add_column("runs", sa.Column("deleting", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "ix_runs_awaited", "runs", ["id"], sqlite_where=sa.text(_AWAITED), postgresql_where=sa.text(_AWAITED)
    )
    op.add_column("tasks", sa.Column("kept_from", sa.LargeBinary(length=16)))
