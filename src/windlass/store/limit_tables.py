"""The tables of what is limited: queues, resources, and whatever else is counted before more of it is taken."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table

from windlass.store.columns import Id, Text, Time
from windlass.store.columns import every_table as metadata

queues = Table(
    "queues",
    metadata,
    Column("name", Text, primary_key=True),
    #: Most tasks of it that workers hold at one time; null: what the settings say.
    Column("slots", Integer),
    #: Since when, by whom and why nothing of it is taken; null: it is not paused.
    Column("paused_at", Time),
    Column("paused_by", Text),
    Column("paused_why", Text),
)
"""What somebody said about a queue while it works; queues of which nobody said anything have no row."""

limit_keys = Table(
    "limit_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("used_at", Time, nullable=False),
)
"""One row for each limited thing, to be locked by whoever counts and takes of it."""

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("job_id", Id, nullable=False),
    Column("project", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    #: In microseconds.
    Column("span", BigInteger, nullable=False),
    PrimaryKeyConstraint("job_id", "resource"),
    Index("ix_rate_limits_resource", "project", "resource"),
    sqlite_with_rowid=False,
)
"""The limits of resources that live, listed jobs state; jobs that state none have no row."""

rate_starts = Table(
    "rate_starts",
    metadata,
    Column("project", Text, nullable=False),
    Column("resource", Text, nullable=False),
    #: By the steady time (`model.steady`), which nobody sets.
    Column("at", Time, nullable=False),
    #: Starts that are close to each other are one row: the first of them, `at` being the last.
    Column("since", Time, nullable=False),
    Column("units", BigInteger, nullable=False),
    #: When the longest window ends that counted it.
    Column("until", Time, nullable=False),
    PrimaryKeyConstraint("project", "resource", "at"),
    sqlite_with_rowid=False,
)
"""What was taken of limited resources, as long as a window counts it."""
