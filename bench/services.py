"""PostgreSQL and Redis for a row: started by the bench in folders of their own, stopped and removed after it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.children import NotMeasured, disk, new_folder
from bench.ending import bound, kill_tree

#: Where Debian keeps the programs of a server.
_PROGRAMS: Final = Path("/usr/lib/postgresql/15/bin")
_USER: Final = "bench"
#: What a commit promises; everything else is as the server has it by itself.
_FLUSHED: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
#: Seconds that a service may take to start, to stop, and to answer a question.
_PATIENCE: Final = 60


@dataclass(frozen=True, slots=True)
class Holder:
    """A transaction that is left open, and with it everything that vacuum would have to keep for it."""

    database: str
    process: subprocess.Popen[str]

    def end(self) -> None:
        """Commit, and wait for it."""
        self.process.communicate("COMMIT;\n", timeout=_PATIENCE)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    port: int
    password: str
    version: str
    #: The process that began it.
    pid: int = 0

    def url(self, database: str) -> str:
        """Return where a database is, for whoever connects."""
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def ask(self, sql: str, database: str = "postgres") -> str:
        """Run SQL and return what comes of it, a row a line. Raises NotMeasured where the server refuses it."""
        done = subprocess.run(  # noqa: S603 - a program of our own choice
            [*_psql(), self.url(database)], input=sql, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        if done.returncode:
            raise NotMeasured(f"PostgreSQL refused a statement: {done.stderr.strip()}")
        return done.stdout.strip()

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Give the URL of a new database, which is dropped afterwards.

        Raises NotMeasured where a table was made there that a crash would empty.
        """
        self.ask(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            self.ask("CHECKPOINT")  # nobody writes down what somebody else has left behind
            yield self.url(name)
            unlogged = self.ask("SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'", name)
            if unlogged:
                raise NotMeasured(f"a crash would empty these tables: {unlogged.replace(chr(10), ', ')}")
        finally:
            with suppress(NotMeasured):  # what went wrong before is what is told
                self.ask(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def hold(self, database: str) -> Holder:
        """Begin a transaction with an id and a snapshot, and leave it open until it is ended."""
        process = subprocess.Popen(  # noqa: S603 - a program of our own choice
            bound([*_psql(), self.url(database)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise NotMeasured("psql has no pipes")
        process.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT pg_current_xact_id();\n")
        process.stdin.flush()
        if not process.stdout.readline().strip().isdigit():
            process.kill()
            raise NotMeasured("a transaction could not be held open")
        return Holder(database, process)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run PostgreSQL until the block ends. Raises NotMeasured where it is missing or does not flush commits."""
    if not (_PROGRAMS / "postgres").exists():
        raise NotMeasured("PostgreSQL 15 is missing: apt-get install -y --no-install-recommends postgresql-15")
    with new_folder("postgres", _disk()) as made:
        folder, port = Path(made), _free_port()
        password = secrets.token_hex(16)
        _own(folder)
        (folder / "password").write_text(password)
        _own(folder / "password")
        data = folder / "data"
        _initialize(data, folder / "password")
        listening = ("-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - as above
                [*_as_postgres(), *bound([str(_PROGRAMS / "postgres"), "-D", str(data), *listening], "QUIT")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # a signal to all of the bench is for the bench alone
            )
        try:
            server = Postgres(port, password, "")
            _until(lambda: _answers(server), process, f"PostgreSQL did not start: {folder / 'log'}")
            found = {name: server.ask(f"SHOW {name}") for name in _FLUSHED}
            if found != _FLUSHED:
                raise NotMeasured(f"commits are not flushed: {found}")
            yield Postgres(port, password, server.ask("SHOW server_version"), process.pid)
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is needed any longer
            process.wait(_PATIENCE)


@dataclass(frozen=True, slots=True)
class Redis:
    """A running server; it keeps everything in memory only, as the queues on it are usually measured."""

    port: int
    version: str

    @property
    def url(self) -> str:
        """Where it is, for whoever connects."""
        return f"redis://127.0.0.1:{self.port}/0"

    def empty(self) -> None:
        """Forget everything."""
        with socket.create_connection(("127.0.0.1", self.port), _PATIENCE) as connection:
            connection.sendall(b"FLUSHALL SYNC\r\n")
            if connection.recv(64) != b"+OK\r\n":
                raise NotMeasured("Redis could not be emptied")


@contextmanager
def redis() -> Iterator[Redis]:
    """Run Redis until the block ends. Raises NotMeasured where it is missing."""
    program = shutil.which("redis-server")
    if program is None:
        raise NotMeasured("Redis is missing: apt-get install -y --no-install-recommends redis-server")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - as above
    version = next(word for word in told.split() if word.startswith("v=")).removeprefix("v=")
    with new_folder("redis") as folder:
        port = _free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"]
        server = subprocess.Popen(bound([program, *options]), stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - as above
        try:
            _until(lambda: _pongs(port), server, "Redis did not start")
            yield Redis(port, version)
        finally:
            kill_tree(server)


def _until(ready: Callable[[], bool], server: subprocess.Popen[bytes], otherwise: str) -> None:
    """Return once a server takes questions. Raises NotMeasured with a sentence where it does not come so far."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and server.poll() is None:
        if ready():
            return
        time.sleep(0.02)
    raise NotMeasured(otherwise)


def _answers(server: Postgres) -> bool:
    try:
        return server.ask("SELECT 1") == "1"
    except NotMeasured:  # it is starting
        return False


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64) == b"+PONG\r\n"
    except OSError:
        return False


def _disk() -> Path:
    """Return a folder on a disk which the server, who is not root, can reach: that of the bench, else the system's."""
    found = disk()
    reachable = all(folder.stat().st_mode & 0o001 for folder in (found, *found.parents))
    return found if reachable or os.geteuid() != 0 else Path("/var/tmp")  # noqa: S108 - a folder is made in it


def _own(path: Path) -> None:
    """Give a file to whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def _initialize(data: Path, password: Path) -> None:
    """Make the files of a server. Raises NotMeasured with what was said where that fails."""
    done = subprocess.run(  # noqa: S603 - as above
        [*_as_postgres(), *_initdb(data, password)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        raise NotMeasured(f"initdb ended with {done.returncode}: {done.stderr.strip()}")


def _initdb(data: Path, password: Path) -> Sequence[str]:
    options = ("-U", _USER, "-A", "scram-sha-256", "--pwfile", str(password))
    return [str(_PROGRAMS / "initdb"), "-D", str(data), *options]


def _as_postgres() -> Sequence[str]:
    """Return what stands before a command of the server: PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.geteuid() == 0 else []


def _psql() -> Sequence[str]:
    return [str(_PROGRAMS / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
