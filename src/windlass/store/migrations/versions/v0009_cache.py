"""Results of steps that later runs may take, and the times by which runs should have ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_PROMISED = "sla_at IS NOT NULL"
_MISSED = "sla_missed = 1"


def upgrade() -> None:
    """Make the cache, empty; runs that exist promise nothing."""
    op.create_table(
        "step_cache",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("branches", sa.Text(), nullable=True),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("project", "key", name=op.f("pk_step_cache")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_step_cache_step", "step_cache", ["project", "job", "step", "cell", "created_at"])
    op.create_index("ix_step_cache_used_at", "step_cache", ["used_at"])
    op.create_index("ix_step_cache_expires_at", "step_cache", ["expires_at"])
    op.create_index("ix_step_cache_run_id", "step_cache", ["run_id"])
    op.add_column("runs", sa.Column("sla", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("sla_at", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("sla_missed", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "ix_runs_sla", "runs", ["sla_at"], sqlite_where=sa.text(_PROMISED), postgresql_where=sa.text(_PROMISED)
    )
    op.create_index(
        "ix_runs_sla_missed", "runs", ["id"], sqlite_where=sa.text(_MISSED), postgresql_where=sa.text(_MISSED)
    )
