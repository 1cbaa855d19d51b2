"""`windlass keys create`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session


@make(name="create")
def command(session: Session) -> None:
    """Make a master key, and put it first in the key file of this machine; those that are there stay behind it.

    Every server and worker of a store needs the same file. Keep a copy of it apart from the backups of the database:
    without it nothing that is sealed can be read again.
    """
    from windlass.engine.sealing.master_keys import create_key  # noqa: PLC0415 - what other commands need not load

    path, name = create_key(session.settings)
    session.out.done(f"Made the master key {name} in {path}. Keep a copy of that file apart from your backups.")
    if session.out.format != "table":
        session.out.value({"key": name, "file": str(path)}, tuple)
