"""Files of runs know in which home they lie, and its owner knows what is to be done with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from windlass.store.migrations.late import late_index

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables, and to each file where it lies; of those that are there its owner finds that out."""
    op.add_column("artifacts", sa.Column("home", sa.Text(), nullable=True))
    op.add_column("artifacts", sa.Column("home_attempt", sa.Integer(), nullable=True))
    late_index("ix_artifacts_home", "artifacts", ["home"], where="home IS NOT NULL")
    op.create_table(
        "file_homes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file_errands",
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("run_id", sa.LargeBinary(16), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("home", "run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_file_errands_run", "file_errands", ["run_id"])
