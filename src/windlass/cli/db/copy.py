"""`windlass db copy`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.text import counted, duration
from windlass.errors import UserError

_EXAMPLES = """
windlass db copy postgresql://windlass@db.example/windlass
windlass db copy --undo
"""


@make(name="copy", examples=_EXAMPLES)
@click.argument("target", metavar="TO", required=False)
@click.option("--undo", is_flag=True, help="Use the store here again, which was copied elsewhere.")
def command(session: Session, *, target: str | None, undo: bool) -> None:
    """Copy the store from SQLite to an empty database in PostgreSQL.

    Stop the server before; or run `windlass maintenance on` and wait until nothing runs: changes after the copy are
    refused. All of it is copied in one transaction and compared row by row, or nothing is. Ids, numbers and cursors are
    the same there. The store here can be read afterwards, and nobody works on it, until --undo takes that back. A copy
    that was cut off is begun again, or finished, by the same command.
    """
    if undo == (target is not None):
        raise UserError("Name the database that the store is copied to, or take the move back with `--undo`.")
    if target is None:
        with session.connect() as client:
            undone = client.post("store", "moved", body={"to": None})
        session.out.value(
            undone, lambda: [f"The store is used here again; leave the copy in {undone['before']} alone."]
        )
        return
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
    yield "Set WINDLASS_DATABASE_URL to that database and run `windlass up`."
    yield f"The store in {done['from']} is only read now; `windlass db copy --undo` makes it usable again."
