"""Where a store is: what the database URL of the settings says, and whether that is a fit place."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from windlass.errors import Refused, Unavailable, UserError

_KNOWN: Final = "`sqlite:///FILE`, `postgresql://USER@HOST/DATABASE` or `memory://`"
#: What opening a store in a server does about a schema that is not this program's: bring it up; work with one of before
#: that has all that is used; look at whatever there is. A store in a file is always brought up.
SchemaUse = Literal["brought up", "sufficient", "any"]
#: Connections that one process works with at most, those aside and for hints not counted; and of those that one does
#: with the fewest.
CONNECTIONS: Final = 4
FEWEST_CONNECTIONS: Final = 2


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A PostgreSQL database, and how it is reached."""

    #: What its client is told, the password included: never shown.
    dsn: str = field(repr=False)
    #: What people are told: the same without a password and without parameters.
    shown: str
    #: The servers, of which one takes writes, with their ports; none: the client finds them as PostgreSQL's own do.
    addresses: tuple[tuple[str, int | None], ...] = ()
    #: Seconds that each of them has to let us in; None: the usual time.
    connecting: float | None = None
    #: What the server shows people of this program.
    application: str = "windlass"
    #: At most so many connections work at one time.
    connections: int = CONNECTIONS
    #: The URL says so.
    stated: bool = False
    #: PgBouncer stands in front and may change the server's process after each transaction.
    pooled: bool = False
    #: How the server itself is reached for hints, as `dsn`; None: hints of other processes are not listened to.
    listen: str | None = field(default=None, repr=False)

    @property
    def mark(self) -> str:
        """A short text that tells this database from others, for names of files."""
        return hashlib.sha256(self.shown.encode()).hexdigest()[:8]

    def of_worker(self) -> ServerPlace:
        """Return the place as one of many workers uses it: with the fewest connections, unless the URL names others."""
        return self if self.stated else replace(self, connections=FEWEST_CONNECTIONS)


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store on disk, in memory or in a database server."""

    kind: Literal["sqlite", "memory", "postgresql"]
    #: The database file, absolute and with every link followed; None elsewhere.
    path: Path | None = None
    #: The database on a server; None elsewhere.
    server: ServerPlace | None = None


def store_place(url: str) -> StorePlace:
    """Read a database URL. `sqlite:///jobs.db` is relative to the working folder, `sqlite:////srv/jobs.db` is not.

    Of PostgreSQL it is libpq's and a little more, see `server_url`.

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
    if scheme in {"postgresql", "postgres"}:
        from windlass.store.server_url import read_server_url  # noqa: PLC0415 - most stores are in a file

        return StorePlace("postgresql", server=read_server_url(url))
    if scheme.partition("+")[0] in {"postgresql", "postgres"}:
        raise UserError(f'The database URL has the scheme "{scheme}": write `postgresql://`, without a driver.')
    raise UserError(f'The database URL has the scheme "{scheme}", which Windlass does not know: write {_KNOWN}.')


def node_path(place: StorePlace, home: Path) -> Path | None:
    """Return the path that a process owns while it works on a store and is reached by others; None in memory.

    It is the database itself where that is a file. On a server, which others share, it is a name in the home, for it is
    the files there that only one process may work with.
    """
    return place.path if place.server is None else home.resolve() / f"postgresql-{place.server.mark}"


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
