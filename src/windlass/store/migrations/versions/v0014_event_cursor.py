"""How far the events were counted is a cursor of the event table, no number of a fact."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep the cursor behind the last fact that was counted."""
    op.execute(
        "INSERT INTO store_info (key, value) SELECT 'run_hours_cursor', "
        "CAST((CAST(value AS BIGINT) + 1) * 1048576 - 1 AS TEXT) FROM store_info WHERE key = 'run_hours_seq'"
    )
    op.execute("DELETE FROM store_info WHERE key = 'run_hours_seq'")
