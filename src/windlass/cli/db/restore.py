"""`windlass db restore`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import FILE
from windlass.cli.session import Session
from windlass.cli.text import counted, local_time

_EXAMPLES = """
windlass db restore /backups/windlass-monday
"""


@make(name="restore", examples=_EXAMPLES)
@click.argument("source", type=FILE, metavar="FROM")
def command(session: Session, *, source: str) -> None:
    """Put a backup in the place of the database, also of one that is damaged. Stop the server before.

    FROM is a folder that `windlass db backup` made, or a bare copy of a database. It is checked before anything is
    changed; the database of before is kept beside the new one.
    """
    done = session.program.restore(session.settings, Path(source).absolute(), tell=session.out.note)
    session.out.value(done, lambda: _told(done))


def _told(done: Mapping[str, Any]) -> Iterator[str]:
    of = f" of {local_time(done['created'])}" if done["created"] else ""
    yield f"Restored the backup{of}: {counted(done['runs'], 'run')}."
    if done["files"]:
        were = "was" if done["files"] == 1 else "were"
        yield f"{counted(done['files'], 'file')} that {were} missing or different here came back with it."
    if done["liveRuns"]:
        yield f"{counted(done['liveRuns'], 'run')} had not ended then: the next `windlass up` goes on from there."
    if done["aside"]:
        yield f"The database of before is {done['aside']}; remove it when you do not need it any more."
