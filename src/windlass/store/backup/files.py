"""The files that runs kept, in a backup: every one that the copied database names, whatever moves meanwhile."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import quote

from windlass.store.backup.content import KeptFile, copy_durably, is_kept_path


@dataclass(slots=True)
class KeptFiles:
    """Copies of files, and the list of them that is written on the way."""

    source: Path
    target: Path
    lines: BinaryIO
    count: int = 0
    size: int = 0

    def copy_new(self) -> Self:
        """Copy what was not copied before; a file that is removed meanwhile is left out."""
        self.target.mkdir(mode=0o700, exist_ok=True)
        for run in sorted(self.source.iterdir()) if self.source.is_dir() else ():
            if run.is_symlink() or not run.is_dir():
                continue
            for file in sorted(run.iterdir()):
                if not file.is_symlink() and file.is_file() and is_kept_path(f"{run.name}/{file.name}"):
                    self._copy(run.name, file)
        return self

    def missing(self, database: Path) -> frozenset[str]:
        """Return the files that a copied database names and of which there is no copy."""
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro&immutable=1", uri=True)) as connection:
            paths = connection.execute("SELECT DISTINCT path FROM artifacts")
            return frozenset(path for (path,) in paths if not (self.target / path).exists())

    def _copy(self, folder: str, file: Path) -> None:
        path = f"{folder}/{file.name}"
        if (self.target / path).exists():
            return
        (self.target / folder).mkdir(mode=0o700, exist_ok=True)
        try:
            size, digest = copy_durably(file, self.target / path)
        except FileNotFoundError:
            return
        self.lines.write(json.dumps(KeptFile(path, size, digest)).encode() + b"\n")
        self.count, self.size = self.count + 1, self.size + size
