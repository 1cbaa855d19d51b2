"""The folders with files of runs in a home, where all of them are of one database."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from windlass.ids import id_text, parse_id
from windlass.store.lockfile import databases_below

#: How the name of a file begins that says which database files are of; its text is the id of the store.
_NOTE: Final = ".windlass-of-"


def own_folders(below: Path, store: str) -> list[bytes]:
    """Return the ids of the runs that have a folder; none where they may be another database's in the same home.

    That may be a copy of this store: what runs there the other one knows nothing of.
    """
    return run_folders(below) if is_ours(below, store) else []


def is_ours(below: Path, store: str) -> bool:
    """Say whether processes of no other database have worked where these folders are."""
    found = databases_below(below.parent) | _noted(below)
    return len(found) <= 1 and not {of for _, of in found} - {store}


def note_database(below: Path, name: str, store: str) -> None:
    """Note beside the files of runs which database they are of, where no lock file says so. Raises OSError."""
    path = below / f"{_NOTE}{name}"
    if not path.exists():
        path.write_text(store)


def _noted(below: Path) -> frozenset[tuple[str, str]]:
    found = set()
    for path in below.glob(f"{_NOTE}*"):
        with suppress(OSError, ValueError):
            found.add((path.name.removeprefix(_NOTE), path.read_text()))
    return frozenset(found)


def run_folders(below: Path) -> list[bytes]:
    """Return the ids of the runs that have a folder, of whichever database they are."""
    found: list[bytes] = []
    with suppress(OSError):
        for folder in below.iterdir():
            run_id = parse_id(folder.name)
            if run_id is not None and folder.name == id_text(run_id) and folder.is_dir() and not folder.is_symlink():
                found.append(run_id)
    return found
