"""The table of workers that are no part of a process that owns or serves the store."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from windlass.store.columns import Text
from windlass.store.columns import every_table as metadata

remote_workers = Table(
    "remote_workers",
    metadata,
    #: What a process calls itself for as long as it lives: nobody else can know it.
    Column("instance", Text, primary_key=True),
    #: Its number among the workers now.
    Column("worker_id", BigInteger, nullable=False),
    #: Number of the last exchange that was done for it, and of the one that told it that it was found gone.
    Column("request", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Index("ix_remote_workers_worker", "worker_id"),
)
"""Workers that reach the queue over HTTP, and how far each has been answered."""
