"""Runs above the limit of their project; limits of resources by job; what was taken of them by its time."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STATED = (
    "SELECT j.id, j.project, r.content FROM jobs j JOIN revisions r ON r.job_id = j.id AND r.number = j.revision "
    "WHERE j.deleted_at IS NULL AND j.listed = 1 AND r.content LIKE '%\"rateLimits\"%'"
)


_ONE_TOO_MANY = "state = 'waiting' AND reason = 'max_runs'"


def upgrade() -> None:
    """Add what jobs state; nothing has been counted until now."""
    op.create_index(
        "ix_runs_one_too_many",
        "runs",
        ["project", "limit_rank", "id"],
        sqlite_where=sa.text(_ONE_TOO_MANY),
        postgresql_where=sa.text(_ONE_TOO_MANY),
    )
    limits = op.create_table(
        "rate_limits",
        sa.Column("job_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("span", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "resource", name=op.f("pk_rate_limits")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rate_limits_resource", "rate_limits", ["project", "resource"])
    op.drop_table("rate_starts")
    op.create_table(
        "rate_starts",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "resource", "at", name=op.f("pk_rate_starts")),
        sqlite_with_rowid=False,
    )
    rows = [
        {
            "job_id": job_id,
            "project": project,
            "resource": entry["resource"],
            "units": min(entry["limit"], 1_000_000_000),
            "span": max(1, round(entry["window"] * 1_000_000)),
        }
        for job_id, project, content in op.get_bind().execute(sa.text(_STATED))
        for entry in json.loads(content).get("rateLimits", ())
    ]
    if rows:
        op.bulk_insert(limits, rows)
