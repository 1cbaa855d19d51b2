"""`windlass db upgrade`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from threading import Timer
from typing import Final

from windlass.cli.command import make
from windlass.cli.output import Output
from windlass.cli.session import Session

#: Seconds after which somebody who waits is told for what.
_QUIET: Final = 3.0


@make(name="upgrade")
def command(session: Session) -> None:
    """Bring the database to the schema of this version.

    On SQLite every command does so by itself. On PostgreSQL, which many share, only this command does, and servers,
    workers and applications as they start; it also makes the tables of a store in an empty database. What takes
    long there, such as indexes on large tables, is made afterwards while everybody works: by a server, or by this
    command, which waits for its end.
    """
    with session.connect(schema="brought up") as client:
        store = client.get("store")
        with _told(session.out):
            done = client.call("POST", ("store", "tend"), patience=inf)["done"]
    lines = [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in done]
    session.out.value(store | {"done": done}, lambda: [*lines, f"The database has schema {store['schema']}."])


@contextmanager
def _told(out: Output) -> Iterator[None]:
    """Say what is waited for where that takes a while."""
    note = "Indexes and partitions are being made, beside everybody's work; on large tables that takes long."
    timer = Timer(_QUIET, out.note, (note,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
