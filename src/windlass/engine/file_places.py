"""Where the files of a store lie: in the home, or beside a database that lies elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from windlass.errors import UserError
from windlass.store.place import store_place

if TYPE_CHECKING:
    from windlass.settings import Settings
    from windlass.store.open import OpenStore


def database_file(settings: Settings) -> Path:
    """Return the database of the settings. Raises UserError where the store is no file."""
    place = store_place(settings.database_url)
    if place.server is not None:
        raise UserError(
            f"The store is the database {place.server.shown}: back it up and restore it with PostgreSQL's programs, "
            f"such as pg_dump and pg_restore, and copy the files below {settings.files / 'artifacts'} beside it."
        )
    if place.path is None:
        raise UserError("A store in memory is not backed up; set WINDLASS_DATABASE_URL to sqlite:///FILE.")
    return place.path


def files_of(settings: Settings, opened: OpenStore) -> Path:
    """Return the folder for the files of an open store."""
    path = None if opened.ownership is None else opened.ownership.database
    if path is None:
        return settings.home if opened.shared else settings.home / "memory" / opened.id
    return _files_beside(settings, path)


def kept_below(settings: Settings, database: Path) -> Path:
    """Return the folder of the files that runs of a store in SQLite keep."""
    return (_files_beside(settings, database) if settings.files_url is None else settings.files) / "artifacts"


def places_of_kept(settings: Settings, database: Path) -> list[Path]:
    """Return the folders in which files of runs of a store in SQLite may lie.

    It may be in another home than that of these settings, and its files may be from before they had a folder.
    """
    found = _files_beside(settings, database), database.parent, settings.files
    return [folder / "artifacts" for folder in dict.fromkeys(found)]


def _files_beside(settings: Settings, database: Path) -> Path:
    if database.parent == settings.home.resolve():
        return settings.home
    return database.with_name(f"{database.name}.files")
