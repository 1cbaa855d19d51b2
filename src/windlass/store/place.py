"""Where a store is: what the database URL of the settings says, and whether that is a fit place."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from windlass.errors import Refused, Unavailable, UserError

_KNOWN = "`sqlite:///FILE` or `memory://`"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store on disk or in memory."""

    kind: Literal["sqlite", "memory"]
    #: The database file, absolute and with every link followed; None in memory.
    path: Path | None = None


def store_place(url: str) -> StorePlace:
    """Read a database URL. `sqlite:///jobs.db` is relative to the working folder, `sqlite:////srv/jobs.db` is not.

    Raises UserError where the URL is not one of ours.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise UserError(f'The database URL "{url}" has no scheme: write {_KNOWN}.')
    if scheme == "memory":
        if rest.strip("/"):
            raise UserError('The database URL of a store in memory is "memory://", with nothing behind it.')
        return StorePlace("memory")
    if scheme == "sqlite":
        return StorePlace("sqlite", _database_file(rest))
    name = scheme.partition("+")[0]
    if name in {"postgresql", "postgres"}:
        raise UserError(f"The store on PostgreSQL has not landed yet: until then use {_KNOWN}.")
    raise UserError(f'The database URL has the scheme "{scheme}", which Windlass does not know: write {_KNOWN}.')


def prepare_folder(database: Path) -> None:
    """Make the folder of a database where it is missing, with mode 0700, and check that it is nobody else's.

    Raises Refused where every user could exchange the files, Unavailable where the folder cannot be made or read.
    """
    folder = database.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as error:
        raise Unavailable(f"The folder {folder} of the database cannot be used: {error.strerror}.") from error
    if mode & stat.S_IWOTH:
        raise Refused(
            f"Every user of this machine can write to {folder}, and so exchange the database: "
            f"keep it in a folder of your own, such as {folder / 'windlass'}."
        )


def _database_file(rest: str) -> Path:
    if "?" in rest or "#" in rest:
        raise UserError("The database URL of SQLite takes no parameters: write `sqlite:///FILE` and no more.")
    if not rest.startswith("/") or rest.strip("/") in {"", ":memory:", "."}:
        raise UserError(
            "The database URL of SQLite names a file behind three slashes, such as `sqlite:///jobs.db`, "
            "or four for an absolute path; a store in memory is `memory://`."
        )
    text = rest[1:]
    if "\0" in text or text.endswith("/"):
        raise UserError(f"The database URL names no file: {text!r}.")
    try:
        return Path(os.path.realpath(text))
    except OSError as error:
        raise Unavailable(f"The database {text} cannot be reached: {error.strerror}.") from error
