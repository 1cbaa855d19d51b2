"""`windlass db copy`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.text import counted, duration

_EXAMPLES = """
windlass db copy postgresql://windlass@db.example/windlass
"""


@make(name="copy", examples=_EXAMPLES)
@click.argument("target", metavar="TO")
def command(session: Session, *, target: str) -> None:
    """Copy the store from SQLite to an empty database in PostgreSQL.

    Stop the server before; or run `windlass maintenance on` and wait until nothing runs: what it accepts after that is
    not in the copy. All of it is copied in one transaction and compared row by row, or nothing is; the store here stays
    as it is. Ids, numbers and cursors are the same there.
    """
    begun = time.monotonic()
    done = session.program.copy(session.settings, target, tell=session.out.note)
    took = time.monotonic() - begun
    shown = {**done, "seconds": round(took, 1)}
    session.out.value(shown, lambda: _lines(shown, took))


def _lines(done: Mapping[str, Any], took: float) -> Iterator[str]:
    rows = counted(sum(done["rows"].values()), "row")
    yield f"Copied {counted(done['rows']['runs'], 'run')}, {rows} in all, to {done['to']}, in {duration(took)}."
    if done["files"]:
        yield f"{counted(done['files'], 'file')} that runs kept were copied to the home."
    if done["missing"]:
        yield f"Files that runs kept and that were not there: {done['missing']:,}."
    if done["mended"]:
        yield f"Texts in which U+FFFD stands for what PostgreSQL cannot hold: {done['mended']:,}."
    if done["owner"]:
        yield f"Process {done['owner']} still works on the store here: stop it before a server works on the copy."
    yield f"Set WINDLASS_DATABASE_URL to that database and run `windlass up`; the store in {done['from']} is as it was."
