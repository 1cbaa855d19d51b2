"""On PostgreSQL the pages of indexes of what changes at once are made with room in them."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_ROOM: Final = {
    "pk_runs": 45,
    "ix_runs_job": 45,
    "ix_runs_state": 45,
    "pk_queue": 45,
    "uq_queue_run_id_task": 45,
    "ix_events_run": 33,
}


def upgrade() -> None:
    """Say so; pages that are there stay as they are."""
    if op.get_context().dialect.name == "postgresql":
        for index, percent in _ROOM.items():
            op.execute(f"ALTER INDEX IF EXISTS {index} SET (fillfactor = {percent})")
