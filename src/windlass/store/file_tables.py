"""The tables of files that lie in homes: which homes there are, and what their owners have still to do."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table

from windlass.store.columns import Id, Json, Text, Time, every_table

file_homes = Table(
    "file_homes",
    every_table,
    #: What the home calls itself, in a file beside the files of runs.
    Column("id", Text, nullable=False),
    #: The machine that had it when it was last seen, and where it was there.
    Column("host", Text, nullable=False),
    Column("folder", Text, nullable=False),
    #: Since when it has a part in this store.
    Column("since", Time, nullable=False),
    #: When somebody last worked there.
    Column("seen_at", Time, nullable=False),
    #: When somebody said that it will not come back.
    Column("forgotten_at", Time),
    PrimaryKeyConstraint("id"),
    sqlite_with_rowid=False,
)
"""The homes of servers and workers, where those that share a store have no folder for files in common."""

file_errands = Table(
    "file_errands",
    every_table,
    #: The home whose owner does it.
    Column("home", Text, nullable=False),
    Column("run_id", Id, nullable=False),
    #: `remove` the files of the run, keep them for the `archive`, or `return` them from there.
    Column("what", Text, nullable=False),
    #: The archive that the run goes to; null of what does not go there.
    Column("archive", Text),
    Column("asked_at", Time, nullable=False),
    #: What came of keeping them: `{place, kept, gone}`; null until it is done. All others are done once they are gone.
    Column("answer", Json),
    #: Why it could not be done when it was last tried.
    Column("trouble", Text),
    PrimaryKeyConstraint("home", "run_id"),
    Index("ix_file_errands_run", "run_id"),
    sqlite_with_rowid=False,
)
"""What is to be done with files of runs in homes that others have no way to: one thing for each run, the last asked."""
