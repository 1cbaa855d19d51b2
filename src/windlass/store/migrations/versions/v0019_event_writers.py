"""On PostgreSQL each event says which transaction wrote it: readers tell by that what they have not seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_WRITTEN = "writer IS NOT NULL"


def upgrade() -> None:
    """Add the column; what is there already was written before all that anybody still reads."""
    op.add_column("events", sa.Column("writer", sa.BigInteger(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE events ALTER writer SET DEFAULT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)")
    op.create_index(
        "ix_events_writer", "events", ["writer"], sqlite_where=sa.text(_WRITTEN), postgresql_where=sa.text(_WRITTEN)
    )
