"""Backups that are made under load: what one brings back is a store in which the oracle finds nothing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.oracle.crash import PATIENCE, Victim
from tests.oracle.seen import Seen
from tests.oracle.told import Told
from windlass.store.backup.content import NOTE

#: Exit code of a command that cannot do what it should now.
REFUSED: Final = 3


class Backup:
    """One `windlass db backup` beside an owner, and what it must know of."""

    def __init__(self, victim: Victim, folder: Path, told: Told, seen: Seen, *, in_database: bool) -> None:
        """Begin it; what is told and done by now must be in it. An archive outside of the database is not."""
        self._in_database = in_database
        self._victim, self._seen, self._now = victim, seen, told
        self._target, self._home = folder / "backup", folder / "restored"
        self._told, self._lines = told.copy(), len(victim.ledger.read())
        self._process = victim.begin("db", "backup", self._target)

    def kill(self) -> None:
        """End it in the middle."""
        self._process.kill()

    def problems(self) -> list[str]:
        """Return what is wrong with the store that it brings back, once it has ended; one that was killed has none."""
        said = self._process.communicate(timeout=PATIENCE)[0]
        code = self._process.returncode
        try:
            if code < 0:
                return self._left()
            if code != 0:
                return [f"the backup ended with {code}: {said}"]
            self._victim.run("db", "restore", self._target, home=self._home)
            if not self._in_database:
                return self._sweep()
            self._told.wished |= self._now.wished  # some of that may have been done before the database was copied
            found = self._victim.problems(self._told, seen=self._seen.kin(), home=self._home, until=self._lines)
            return [f"in the backup: {one}" for one in found]
        finally:
            shutil.rmtree(self._target, ignore_errors=True)
            shutil.rmtree(self._home, ignore_errors=True)

    def _sweep(self) -> list[str]:
        """Let the store that was brought back do in the archive of the other one what it would; return nothing.

        That the other one loses nothing by it the oracle finds out where it looks at that.
        """
        with closing(sqlite3.connect(f"file:{self._victim.home}/windlass.db?mode=ro", uri=True)) as connection:
            used = connection.execute("SELECT 1 FROM archives WHERE before <> ''").fetchone()
        if used is not None:
            self._victim.run("archive", "run", home=self._home, code=REFUSED)
            self._victim.run("archive", "adopt", "--dry-run", home=self._home)
        return []

    def _left(self) -> list[str]:
        """Return what is wrong with what a backup left that was killed: it is whole, or bears another name."""
        if not self._target.exists():
            return []
        return (
            [] if (self._target / NOTE).exists() else [f"the backup was killed and left {list(self._target.iterdir())}"]
        )
