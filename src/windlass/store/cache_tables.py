"""The tables of the step cache."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, text

from windlass.store.columns import Id, Json, Text, Time, every_table

step_cache = Table(
    "step_cache",
    every_table,
    Column("project", Text, nullable=False),
    #: Digest of everything that the result depends on, in hexadecimal digits (`model.step_cache`).
    Column("key", Text, nullable=False),
    #: Whose result it is: alias of the job, name of the step, key of the matrix cell.
    Column("job", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("cell", Text, nullable=False),
    #: The run that worked for it; it may be gone.
    Column("run_id", Id, nullable=False),
    Column("outputs", Json),
    Column("exit_code", Integer),
    Column("branches", Json),
    #: `[[name, size, sha256], ...]`; the bytes are below the cache folder, by their hash.
    Column("files", Json, nullable=False),
    #: Bytes of these files together.
    Column("size", BigInteger, nullable=False),
    #: Digests of the parts of the key by name: they tell what another key differs in.
    Column("parts", Json, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    #: When it was made or taken last: what was not taken for longest makes room.
    Column("used_at", Time, nullable=False),
    Column("hits", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("project", "key"),
    Index("ix_step_cache_step", "project", "job", "step", "cell", "created_at"),
    Index("ix_step_cache_used_at", "used_at"),
    Index("ix_step_cache_expires_at", "expires_at"),
    Index("ix_step_cache_run_id", "run_id"),
    sqlite_with_rowid=False,
)
"""Results of steps that ended well, for later tasks of the same content: bounded, and each with an end."""
