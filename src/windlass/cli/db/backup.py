"""`windlass db backup`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import FILE
from windlass.cli.session import Session
from windlass.cli.text import counted, duration, size

_EXAMPLES = """
windlass db backup /backups/windlass-monday
windlass db backup /backups/small --without-files
"""


@make(name="backup", examples=_EXAMPLES)
@click.argument("target", type=FILE, metavar="TO")
@click.option("--without-files", is_flag=True, help="Leave out the files that runs kept.")
def command(session: Session, *, target: str, without_files: bool) -> None:
    """Copy the store to a new folder, while a server works or without one.

    TO holds one state of the database, checked page by page, and the files that runs kept, each with its SHA-256. An
    archive outside of the database and the configuration are not in it.
    """
    begun = time.monotonic()
    path = Path(target).absolute()
    note = session.program.backup(session.settings, path, files=not without_files, tell=session.out.note)
    took = time.monotonic() - begun
    shown = {"path": str(path), "seconds": round(took, 1), **{name: note[name] for name in note if name != "format"}}
    session.out.value(shown, lambda: _told(shown, took))


def _told(note: Mapping[str, Any], took: float) -> Iterator[str]:
    files = "" if note["files"] is None else f", and {counted(note['files'], 'file')} of {size(note['files_size'])}"
    yield f"Backed up {counted(note['rows']['runs'], 'run')}, {size(note['size'])}{files}, in {duration(took)}."
    yield f"`windlass db restore {note['path']}` brings it back."
