"""What is sealed: the keys of projects, and their secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "data_keys",
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("project", text, nullable=False),
        sa.Column("master", text, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_keys")),
    )
    current = sa.text("retired_at IS NULL")
    op.create_index(
        "uq_data_keys_current", "data_keys", ["project"], unique=True, sqlite_where=current, postgresql_where=current
    )
    op.create_table(
        "secrets",
        sa.Column("project", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.LargeBinary(16), nullable=False),
        sa.Column("note", text),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", text),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("pk_secrets")),
        sqlite_with_rowid=False,
    )
