"""The tables of the archive, and of documents that are applied beside jobs; see `tables`, which knows them all."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from windlass.store.columns import Id, Json, Text, Time, every_table, of_run
from windlass.store.columns import partial as _partial

archived_runs = Table(
    "archived_runs",
    every_table,
    Column("run_id", Id, nullable=False),
    *of_run(),
    Column("created_at", Time, nullable=False),
    Column("finished_at", Time, nullable=False),
    Column("archived_at", Time, nullable=False),
    #: What sent it there, for people.
    Column("rule", Text, nullable=False),
    #: The archive that keeps it, by its address; empty of a run that is deleted and not quite gone.
    Column("archive", Text, nullable=False),
    #: Where it is in that archive.
    Column("place", Text, nullable=False),
    #: Bytes that the archive keeps.
    Column("size", BigInteger, nullable=False),
    #: SHA-256 of the document.
    Column("digest", Text, nullable=False),
    #: 0 while rows of the run have yet to leave the hot tables, or with `restored_at` yet to come back there.
    Column("removed", SmallInteger, nullable=False),
    #: When it came back, or while `removed` is 0 began to.
    Column("restored_at", Time),
    #: The run that started it; null where nobody did, or where it left before this was kept.
    Column("parent_id", Id),
    #: 0 where it goes on, and stays, without its parent.
    Column("cascades", SmallInteger, nullable=False, server_default=text("1")),
    PrimaryKeyConstraint("run_id"),
    Index("ix_archived_runs_project", "project", "run_id"),
    Index("ix_archived_runs_job", "job_id", "run_id"),
    Index("ix_archived_runs_revision", "revision_id"),
    Index("ix_archived_runs_finished", "finished_at"),
    _partial("ix_archived_runs_leaving", "run_id", where="removed = 0"),
    _partial("ix_archived_runs_parent", "parent_id", where="parent_id IS NOT NULL"),
    sqlite_with_rowid=False,
)
"""Every run that the archive keeps, wherever that is: what is listed, and how it is found again."""

archived_files = Table(
    "archived_files",
    every_table,
    Column("run_id", Id, nullable=False),
    #: SHA-256 of the content, under which the archive keeps it.
    Column("sha256", Text, nullable=False),
    Column("archive", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "sha256"),
    Index("ix_archived_files_content", "archive", "sha256"),
    sqlite_with_rowid=False,
)
"""Which files of archived runs the archive keeps: a content that several runs have is there once."""

archive_parts = Table(
    "archive_parts",
    every_table,
    Column("run_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    #: A piece of the run's document, compressed.
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "number"),
)
"""The archive that lies in the database itself."""

archive_traces = Table(
    "archive_traces",
    every_table,
    #: The archive's address.
    Column("archive", Text, nullable=False),
    #: `document`, or `file` of a run.
    Column("kind", Text, nullable=False),
    #: What the archive knows it by.
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("archive", "kind", "name"),
    sqlite_with_rowid=False,
)
"""What archives may hold although no run needs it: noted before it is written there, and when its run has left.

What is in an archive and neither here nor in the catalogue is not known to be ours: it stays.
"""

archives = Table(
    "archives",
    every_table,
    #: Its address.
    Column("url", Text, nullable=False),
    #: The mark that this store left there last, and the one before: where the archive bears another one, another store
    #: has used it, or a later state of this one.
    Column("mark", Text, nullable=False),
    Column("before", Text, nullable=False),
    PrimaryKeyConstraint("url"),
    sqlite_with_rowid=False,
)
"""The archives outside of the database that were ever used, and may still hold something."""

documents = Table(
    "documents",
    every_table,
    Column("id", Id, primary_key=True),
    Column("project", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    #: The normalised document as canonical JSON.
    Column("content", Json, nullable=False),
    #: Where it came from, as of jobs; null when applied by hand.
    Column("provenance", Json),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    UniqueConstraint("project", "kind", "name"),
)
"""What is applied beside jobs, one row a document: retention policies."""
