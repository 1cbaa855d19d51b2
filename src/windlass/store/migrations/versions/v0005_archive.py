"""The archive of runs, and documents that are applied beside jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LEAVING = "removed = 0"


def upgrade() -> None:
    """Make the catalogue of archived runs, the archive in the database, and the table of documents."""
    op.add_column("runs", sa.Column("restored_at", sa.BigInteger()))
    op.create_table(
        "archived_runs",
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("job_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("removed", sa.SmallInteger(), nullable=False),
        sa.Column("restored_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_archived_runs")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_archived_runs_project", "archived_runs", ["project", "run_id"])
    op.create_index("ix_archived_runs_job", "archived_runs", ["job_id", "run_id"])
    op.create_index("ix_archived_runs_revision", "archived_runs", ["revision_id"])
    op.create_index("ix_archived_runs_finished", "archived_runs", ["finished_at"])
    op.create_index(
        "ix_archived_runs_leaving",
        "archived_runs",
        ["run_id"],
        sqlite_where=sa.text(_LEAVING),
        postgresql_where=sa.text(_LEAVING),
    )
    op.create_table(
        "archive_parts",
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_archive_parts")),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("provenance", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("project", "kind", "name", name=op.f("uq_documents_project_kind_name")),
    )
