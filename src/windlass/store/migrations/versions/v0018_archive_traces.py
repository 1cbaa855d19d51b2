"""What archives may hold without need, whose they are, and which archived runs were started by which."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_CHILD = "parent_id IS NOT NULL"


def upgrade() -> None:
    """Make the tables; archives that were used bear no mark yet. Of earlier archived runs no parent is known."""
    op.create_table(
        "archive_traces",
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("archive", "kind", "name", name=op.f("pk_archive_traces")),
        sqlite_with_rowid=False,
    )
    made = op.create_table(
        "archives",
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_archives")),
        sqlite_with_rowid=False,
    )
    op.add_column("archived_runs", sa.Column("parent_id", sa.LargeBinary(length=16)))
    op.add_column(
        "archived_runs", sa.Column("cascades", sa.SmallInteger(), nullable=False, server_default=sa.text("1"))
    )
    where = sa.text(_CHILD)
    op.create_index(
        "ix_archived_runs_parent", "archived_runs", ["parent_id"], sqlite_where=where, postgresql_where=where
    )
    _move_addresses(made)
    _note_leftovers()


def _move_addresses(made: sa.Table) -> None:
    """Give each address that was used a row; one of a store that was just restored may be another's by now."""
    connection = op.get_bind()
    found = connection.execute(sa.text("SELECT key, value FROM store_info")).all()
    facts: dict[str, str] = {row.key: row.value for row in found}
    used = set(json.loads(facts.get("archives", "[]")))
    used.update(connection.execute(sa.text("SELECT DISTINCT archive FROM archived_runs")).scalars())
    mark = "?" if "restored" in facts else ""
    rows = [{"url": url, "mark": mark, "before": mark} for url in sorted(used - {"", "database:"})]
    if rows:
        op.bulk_insert(made, rows)
    op.execute("DELETE FROM store_info WHERE key = 'archives'")


def _note_leftovers() -> None:
    """Note documents in the database that a process left which was killed; elsewhere nobody can tell whose they are."""
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            "SELECT p.run_id FROM archive_parts p WHERE p.number = 0 AND NOT EXISTS "
            "(SELECT 1 FROM archived_runs a WHERE a.run_id = p.run_id AND a.archive = 'database:')"
        )
    )
    rows = [{"name": bytes(run_id).hex()} for run_id in found.scalars()]
    if rows:
        note = sa.text("INSERT INTO archive_traces (archive, kind, name) VALUES ('database:', 'document', :name)")
        connection.execute(note, rows)
