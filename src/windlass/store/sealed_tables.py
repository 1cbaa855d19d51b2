"""The tables of what is sealed: the keys of projects, and their secrets."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, Table

from windlass.store.columns import Id, Text, Time, partial
from windlass.store.columns import every_table as metadata

data_keys = Table(
    "data_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Text, nullable=False),
    #: The master key that it is sealed under.
    Column("master", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Time, nullable=False),
    #: Since when nothing new is sealed under it.
    Column("retired_at", Time),
    partial("uq_data_keys_current", "project", where="retired_at IS NULL", unique=True),
)
"""Keys that values are sealed under, each sealed itself under a master key, which is not in the database."""

secrets = Table(
    "secrets",
    metadata,
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    #: How often its value was set.
    Column("version", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    #: The data key that it is sealed under.
    Column("key_id", Id, nullable=False),
    Column("note", Text),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    #: Who set the value.
    Column("updated_by", Text),
    PrimaryKeyConstraint("project", "name"),
    sqlite_with_rowid=False,
)
"""Values that only steps are given, as `secret://store/NAME`."""
