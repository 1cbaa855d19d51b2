"""Where a store is: what the database URL of the settings says, and whether that is a fit place."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from windlass.errors import Refused, Unavailable, UserError
from windlass.model.did_you_mean import suggestion

_KNOWN: Final = "`sqlite:///FILE`, `postgresql://USER@HOST/DATABASE` or `memory://`"
#: Parameters of the URL of PostgreSQL that are its client's own, and those that are ours.
_OF_CLIENT: Final = frozenset(
    {
        "gsslib",
        "host",
        "krbsrvname",
        "passfile",
        "port",
        "service",
        "servicefile",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "target_session_attrs",
    }
)
_OURS: Final = frozenset({"pgbouncer", "listen", "connections"})
#: What opening a store in a server does about a schema that is not this program's: bring it up; work with one of before
#: that has all that is used; look at whatever there is. A store in a file is always brought up.
SchemaUse = Literal["brought up", "sufficient", "any"]
#: Connections that one process works with at most, those aside and for hints not counted.
_CONNECTIONS: Final = 4
_FEWEST_CONNECTIONS: Final = 2
_MOST_CONNECTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A PostgreSQL database, and how it is reached."""

    #: What its client is told, the password included: never shown.
    dsn: str = field(repr=False)
    #: What people are told: the same without a password and without parameters.
    shown: str
    #: At most so many connections work at one time.
    connections: int = _CONNECTIONS
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
        return self if self.stated else replace(self, connections=_FEWEST_CONNECTIONS)


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

    Of PostgreSQL the URL is libpq's; ours are `pgbouncer=true`, `listen=HOST:PORT` and `connections=NUMBER`.

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
        return StorePlace("postgresql", server=_server(url))
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


def _server(url: str) -> ServerPlace:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
        said = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:  # its text would show the URL
        raise UserError(
            "The database URL of PostgreSQL cannot be read: write `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, "
            "with `%` and two digits for each character of the password that is no letter or digit."
        ) from None
    parameters = dict(said)
    known = _OF_CLIENT | _OURS
    for name in parameters:
        if name not in known:
            raise UserError(
                f'The database URL has the parameter "{name}"{suggestion(name, known) or ", which is none."}'
            )
    database = unquote(parts.path.lstrip("/"))
    if not database or "/" in database or "\0" in unquote(url) or parts.fragment:
        raise UserError("The database URL of PostgreSQL names no database: write `postgresql://USER@HOST/DATABASE`.")
    own = {name: parameters.pop(name) for name in _OURS if name in parameters}
    login = parts.netloc.rpartition("@")[0]
    place = ":".join(str(part) for part in (host or parameters.get("host"), port or parameters.get("port")) if part)
    user = unquote(parts.username or "")
    pooled = _yes("pgbouncer", own.get("pgbouncer", "false"))
    dsn = _dsn(parts.netloc, parts.path, parameters)
    return ServerPlace(
        dsn=dsn,
        shown=f"postgresql://{user}{'@' if user else ''}{place}/{database}",
        connections=_number("connections", own.get("connections", str(_CONNECTIONS))),
        stated="connections" in own,
        pooled=pooled,
        listen=_listen(own["listen"], login, parts.path, parameters) if "listen" in own else None if pooled else dsn,
    )


def _listen(address: str, login: str, path: str, parameters: Mapping[str, str]) -> str:
    if not re.fullmatch(r"[^\s/?#@]+", address):
        raise UserError("The parameter `listen` of the database URL is the server's own address: write HOST:PORT.")
    rest = {name: value for name, value in parameters.items() if name not in {"host", "port"}}
    return _dsn(f"{login}{'@' if login else ''}{address}", path, rest)


def _dsn(netloc: str, path: str, parameters: Mapping[str, str]) -> str:
    return f"postgresql://{netloc}{path}" + (f"?{urlencode(parameters)}" if parameters else "")


def _yes(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise UserError(f"The parameter `{name}` of the database URL is `true` or `false`.")
    return text == "true"


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"[1-9]\d?", text) or not _FEWEST_CONNECTIONS <= int(text) <= _MOST_CONNECTIONS:
        raise UserError(
            f"The parameter `{name}` of the database URL is a whole number from "
            f"{_FEWEST_CONNECTIONS} to {_MOST_CONNECTIONS}."
        )
    return int(text)


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
