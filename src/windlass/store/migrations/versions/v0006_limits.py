"""Limits: of runs by a key, of starts of a resource, of queues and workers while they work."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_LIMITED = "limit_key IS NOT NULL AND finished_at IS NULL"


def upgrade() -> None:
    """Add what limits are found by; nothing that exists is limited yet."""
    op.add_column("runs", sa.Column("limit_key", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("limit_rank", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_runs_limit",
        "runs",
        ["limit_key", "state", "limit_rank", "id"],
        sqlite_where=sa.text(_LIMITED),
        postgresql_where=sa.text(_LIMITED),
    )
    op.create_table(
        "limit_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_limit_keys")),
    )
    op.create_table(
        "rate_starts",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("queue_id", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project", "resource", "at", "queue_id", "fence", name=op.f("pk_rate_starts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "queues",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.Column("paused_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_queues")),
    )
    with op.batch_alter_table("routes") as routes:
        routes.add_column(sa.Column("rate", sa.Text(), server_default=sa.text("''"), nullable=False))
        routes.drop_constraint("uq_routes_queue_pool_labels", type_="unique")
        routes.create_unique_constraint("uq_routes_queue_pool_labels_rate", ["queue", "pool", "labels", "rate"])
    op.add_column("workers", sa.Column("draining", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
