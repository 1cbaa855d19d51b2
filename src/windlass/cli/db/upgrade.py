"""`windlass db upgrade`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session


@make(name="upgrade")
def command(session: Session) -> None:
    """Bring the database to the schema of this version.

    Every command does so by itself when it opens the database; this one does nothing else.
    """
    with session.connect() as client:
        store = client.get("store")
    session.out.value(store, lambda: [f"The database has schema {store['schema']}."])
