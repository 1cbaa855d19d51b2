"""From when the time of a run is counted, and when it was up, apart from the time that its clean-up gets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of runs that were stopped before nobody knows."""
    op.add_column("runs", sa.Column("counted_at", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("up_at", sa.BigInteger(), nullable=True))
