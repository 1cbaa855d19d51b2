"""The database URL of PostgreSQL: libpq's own, with several hosts and services, and a few parameters of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from windlass.errors import UserError
from windlass.model.did_you_mean import suggestion
from windlass.store.place import CONNECTIONS, FEWEST_CONNECTIONS, ServerPlace
from windlass.store.server_service import service_parameters

#: Parameters that the driver takes as they are, by what they may say.
_MODES: Final[Mapping[str, tuple[str, ...]]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_FILES: Final = frozenset({"passfile", "sslcert", "sslcrl", "sslkey", "sslrootcert"})
_OF_CLIENT: Final = _FILES | {
    *_MODES,
    "gsslib",
    "krbsrvname",
    "options",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslnegotiation",
    "sslpassword",
}
#: Parameters of which we make something else.
_READ: Final = frozenset(
    {"application_name", "connect_timeout", "dbname", "host", "password", "port", "service", "servicefile", "user"}
)
_OURS: Final = frozenset({"pgbouncer", "listen", "connections"})
#: Parameters of libpq that the driver has nothing for.
_NOT_HERE: Final = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "fallback_application_name",
        "gssdelegation",
        "gssencmode",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "replication",
        "require_auth",
        "requirepeer",
        "sslcertmode",
        "sslcompression",
        "sslcrldir",
        "sslsni",
        "tcp_user_timeout",
    }
)
_PARTS: Final = re.compile(r"\w+://([^/?#]*)/?([^?#]*)(?:\?([^#]*))?")
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:]*)(?::(?P<port>\d{1,5})?)?")
_HIGHEST_PORT: Final = 65535
_MOST_CONNECTIONS: Final = 64
_LONGEST_TIMEOUT: Final = 600


class _Address(NamedTuple):
    host: str
    port: int | None

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def quoted(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        return host if self.port is None else f"{host}:{self.port}"


def read_server_url(url: str) -> ServerPlace:
    """Return the database that a URL names.

    Ours are `pgbouncer=true`, `listen=HOST:PORT` and `connections=NUMBER`. Of several hosts the one is used that takes
    writes, unless `target_session_attrs` says otherwise.
    Raises UserError, which never shows a password, where the URL cannot be read or says what is not known.
    """
    login, hosts, path, said = _taken_apart(url)
    _refuse_unknown(said)
    said = service_parameters(said) | said
    _refuse_unknown(said)
    _refuse_wrong(said)
    name, _, word = login.partition(":")
    user = unquote(name) or said.get("user", "")
    password = unquote(word) or said.get("password", "")
    database = unquote(path) or said.get("dbname", "")
    if not database or "/" in database or "\0" in unquote(url):
        raise UserError("The database URL of PostgreSQL names no database: write `postgresql://USER@HOST/DATABASE`.")
    addresses = _addresses(hosts, said)
    of_client = {key: said[key] for key in said if key in _OF_CLIENT}
    if len(addresses) > 1:
        of_client.setdefault("target_session_attrs", "read-write")
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    dsn = _dsn(who, ",".join(one.quoted for one in addresses), database, of_client)
    pooled = _yes("pgbouncer", said.get("pgbouncer", "false"))
    listen = _listen(said["listen"], who, database, of_client) if "listen" in said else None if pooled else dsn
    place = ",".join(one.shown for one in addresses)
    return ServerPlace(
        dsn=dsn,
        shown=f"postgresql://{user}{'@' if user else ''}{place}/{database}",
        addresses=tuple((one.host, one.port) for one in addresses),
        connecting=_seconds(said["connect_timeout"]) if "connect_timeout" in said else None,
        application=said.get("application_name") or "windlass",
        connections=_connections(said.get("connections", str(CONNECTIONS))),
        stated="connections" in said,
        pooled=pooled,
        listen=listen,
    )


def _taken_apart(url: str) -> tuple[str, str, str, dict[str, str]]:
    """Return login, hosts, path and parameters as they stand there."""
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise _unreadable()
    query = parts[3] or ""
    try:
        said = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:  # its text would show the URL
        raise _unreadable() from None
    login, _, hosts = parts[1].rpartition("@")
    if "@" in login:
        raise _unreadable()
    return login, hosts, parts[2], said


def _unreadable() -> UserError:
    return UserError(
        "The database URL of PostgreSQL cannot be read: write `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, "
        "with `%` and two digits for each character of the password that is no letter or digit."
    )


def _refuse_unknown(said: Mapping[str, str]) -> None:
    known = _OF_CLIENT | _READ | _OURS
    for name in said:
        if name in _NOT_HERE:
            raise UserError(
                f'The database URL has the parameter "{name}", which the driver here does not know: leave it out.'
            )
        if name not in known:
            raise UserError(
                f'The database URL has the parameter "{name}"{suggestion(name, known) or ", which is none."}'
            )


def _refuse_wrong(said: Mapping[str, str]) -> None:
    for name, modes in _MODES.items():
        if said.get(name, modes[0]) not in modes:
            raise UserError(f"The parameter `{name}` of the database URL is one of {', '.join(modes)}.")
    for name in sorted(_FILES & said.keys()):
        if not Path(said[name]).is_file():
            raise UserError(f"The parameter `{name}` of the database URL names {said[name]}, which is no file here.")


def _addresses(hosts: str, said: Mapping[str, str]) -> list[_Address]:
    """Return the servers: those before the path, or those of the parameter `host`, with the ports of `port`."""
    text = hosts or said.get("host", "")
    if not text:
        if "port" in said:
            return [_Address("localhost", _port(said["port"]))]
        return []
    found = [_address(one, quoted=bool(hosts)) for one in text.split(",")]
    ports = [_port(one) for one in said["port"].split(",")] if said.get("port") else []
    if ports and len(ports) not in {1, len(found)}:
        raise UserError("The parameter `port` of the database URL has one port, or as many as there are hosts.")
    ports = ports * len(found) if len(ports) == 1 else ports
    return [_Address(one.host, one.port or ports[at]) for at, one in enumerate(found)] if ports else found


def _address(text: str, *, quoted: bool) -> _Address:
    if not quoted and text.startswith("/"):
        return _Address(text, None)
    match = _HOST.fullmatch(text)
    if match is None or not match["host"]:
        raise _unreadable()
    host = unquote(match["host"]) if quoted else match["host"]
    return _Address(host.strip("[]"), _port(match["port"]) if match["port"] else None)


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or not 1 <= int(text) <= _HIGHEST_PORT:
        raise UserError(f"The database URL has a port that is none: write a number from 1 to {_HIGHEST_PORT}.")
    return int(text)


def _listen(address: str, who: str, database: str, of_client: Mapping[str, str]) -> str:
    if not re.fullmatch(r"[^\s/?#@]+", address):
        raise UserError("The parameter `listen` of the database URL is the server's own address: write HOST:PORT.")
    return _dsn(who, address, database, of_client)


def _dsn(who: str, hosts: str, database: str, of_client: Mapping[str, str]) -> str:
    query = f"?{urlencode(of_client)}" if of_client else ""
    return f"postgresql://{who}{'@' if who else ''}{hosts}/{quote(database, safe='')}{query}"


def _yes(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise UserError(f"The parameter `{name}` of the database URL is `true` or `false`.")
    return text == "true"


def _connections(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d?", text) or not FEWEST_CONNECTIONS <= int(text) <= _MOST_CONNECTIONS:
        raise UserError(
            f"The parameter `connections` of the database URL is a whole number from {FEWEST_CONNECTIONS} to "
            f"{_MOST_CONNECTIONS}."
        )
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[1-9]\d{0,2}", text) or int(text) > _LONGEST_TIMEOUT:
        raise UserError(
            "The parameter `connect_timeout` of the database URL is a whole number of seconds from 1 to "
            f"{_LONGEST_TIMEOUT}, for each host."
        )
    return float(text)
