"""What lists of runs by labels, by parent and by the failures of one job look up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ENDED_BADLY = "state = 'cancelled' OR state = 'failed' OR state = 'timeout'"


def upgrade() -> None:
    """Make the table of labels, with those of the runs there are, and two indexes that most runs never enter."""
    op.create_table(
        "run_labels",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("name", "value", "run_id", name=op.f("pk_run_labels")),
        sqlite_with_rowid=False,
    )
    each = (
        "json_each_text(runs.labels::json)" if op.get_bind().dialect.name == "postgresql" else "json_each(runs.labels)"
    )
    op.execute(
        "INSERT INTO run_labels (name, value, run_id) "  # noqa: S608 - constants only
        f"SELECT label.key, label.value, runs.id FROM runs, {each} AS label "
        "WHERE runs.labels IS NOT NULL"
    )
    op.create_index(
        "ix_runs_parent",
        "runs",
        ["parent_id", "id"],
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_ended_badly",
        "runs",
        ["job_id", "state", "id"],
        sqlite_where=sa.text(_ENDED_BADLY),
        postgresql_where=sa.text(_ENDED_BADLY),
    )
