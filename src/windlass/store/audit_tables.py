"""The tables of the audit: entries in a chain, its end, and the keys of its epochs."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Table, text

from windlass.store.columns import Json, Text, Time
from windlass.store.columns import every_table as metadata

audit_entries = Table(
    "audit_entries",
    metadata,
    #: Without gaps: what is missing shows.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("address", Text),
    Column("project", Text),
    Column("action", Text, nullable=False),
    Column("object", Text),
    Column("before", Text),
    Column("after", Text),
    Column("outcome", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("data", Json),
    Column("epoch", Integer, nullable=False),
    #: Made from all of these and the code of the entry before.
    Column("code", LargeBinary, nullable=False),
    Index("ix_audit_entries_project", "project", "seq"),
    Index("ix_audit_entries_action", "action", "seq"),
    Index("ix_audit_entries_actor", "actor", "seq"),
    Index("ix_audit_entries_at", "at"),
)
"""What people and tokens did, each entry chained to the one before it."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("code", LargeBinary, nullable=False),
    Column("epoch", Integer, nullable=False),
    CheckConstraint(text("id = 1"), name="one"),
)
"""The end of the chain; whoever adds to it locks this row."""

audit_epochs = Table(
    "audit_epochs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    #: The key that its entries are chained under, sealed; null: none.
    Column("sealed", LargeBinary),
    Column("since", Time, nullable=False),
)
"""The keys of the chain, one after the other."""
