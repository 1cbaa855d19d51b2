"""`windlass db check`."""

from __future__ import annotations

from math import inf

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.text import one_line


@make(name="check")
def command(session: Session) -> int:
    """Check that the database is sound: its pages, references, schema.

    Reads all of it, which takes seconds for each gigabyte, and changes nothing. Of a schema on PostgreSQL that is older
    than this version it says what an upgrade would do. Exit status 1: something is wrong.
    """
    with session.connect(schema="any") as client:
        found = client.call("GET", ("store", "check"), patience=inf)
    lines = [*found["problems"], *(f"Note: {note}" for note in found["notes"])]
    end = "The database is sound." if found["sound"] else "The database is not as it should be."
    session.out.value(found, lambda: [*map(one_line, lines), end])
    return 0 if found["sound"] else 1
