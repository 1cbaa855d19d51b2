"""Files of archived runs, each content kept once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table that says which archived runs have which files."""
    op.create_table(
        "archived_files",
        sa.Column("run_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "sha256"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_archived_files_content", "archived_files", ["archive", "sha256"])
