"""What grows with history is kept in partitions on PostgreSQL; what is there already becomes the one for the rest.

Nothing is copied and no row is looked at: names change, and partitions for the time to come are made beside the work.
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

#: Tables, each with its key.
_TABLES = {
    "tasks": "run_id, task",
    "attempts": "run_id, task, number",
    "log_chunks": "run_id, task, attempt, seq",
}
_DEAD = (
    "allowed = 0 AND requeued_as IS NULL AND (state = 'failed' OR state = 'timeout') "
    "AND coalesce(reason, '') <> 'run_deadline'"
)


def upgrade() -> None:
    """Put a partitioned table in the place of each."""
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute("ALTER INDEX ix_tasks_dead RENAME TO ix_tasks_rest_dead")
    for table, key in _TABLES.items():
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_rest")
        op.execute(f"ALTER TABLE {table}_rest RENAME CONSTRAINT pk_{table} TO pk_{table}_rest")
        op.execute(
            f"CREATE TABLE {table} (LIKE {table}_rest INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) "
            "PARTITION BY RANGE (run_id)"
        )
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({key})")
        op.execute(f"ALTER TABLE {table} ATTACH PARTITION {table}_rest DEFAULT")
    op.execute(f"CREATE INDEX ix_tasks_dead ON tasks (run_id, task) WHERE {_DEAD}")
