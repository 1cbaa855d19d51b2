"""A PostgreSQL server that is there to be restarted, stopped and killed."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import asyncpg

from tests.fixtures.left_processes import ends
from tests.oracle.crash import until
from windlass.supervisor.procfs import processes

#: How a server ends: `fast` breaks connections and writes all down, `immediate` writes nothing down and the next start
#: has to read its log, `kill` is kill -9 of its first process.
End = Literal["fast", "immediate", "kill"]
ENDS: Final[tuple[End, ...]] = ("fast", "immediate", "kill")
_SIGNALS: Final[dict[End, int]] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}

_PROGRAMS: Final = Path("/usr/lib/postgresql")
_MISSING: Final = "PostgreSQL is not installed: apt-get install postgresql"
_USER: Final = "postgres"
#: Settings of the server: what it has answered for must outlive its processes, not the machine, so no fsync.
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "restart_after_crash": "on",
}


class Database:
    """A server with a data folder, a port and databases of its own."""

    def __init__(
        self,
        listen: Sequence[str] = ("127.0.0.1",),
        *,
        data: tuple[Path, Path] | None = None,
        before: Sequence[str] = (),
        **settings: str,
    ) -> None:
        """Make the data folder; nothing runs yet. `listen` are addresses, `settings` those of PostgreSQL.

        `before` stands before all its commands; `data` is where its files are to be, as they and as others see it.
        """
        self._programs = _newest()
        self._user = pwd.getpwnam(_USER).pw_name if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._folder = Path(tempfile.mkdtemp(prefix="windlass-pg-"))
        #: The data folder, as the server and as this process see it.
        self._data, self._seen = data or (self._folder / "data", self._folder / "data")
        self._before = before
        self._listen = listen
        self._settings = _SETTINGS | settings
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.port = _free_port()
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER, _USER)
        made = subprocess.run(
            [*self._as_user(), self._programs / "initdb", "-D", self._data, "-U", _USER, "-A", "trust", "-N",
             "--encoding=UTF8", "--locale=C", *(["--wal-segsize=1"] if data else [])],
            cwd=self._folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        for address in listen:
            if not address.startswith("127."):
                with (self._seen / "pg_hba.conf").open("a") as file:
                    file.write(f"host all all {address}/30 trust\n")

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and remove all of it."""
        self.close()

    @property
    def lives(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; return once it takes connections."""
        if self.lives:
            return
        options = [
            option
            for name, value in (
                {"listen_addresses": ",".join(self._listen), "port": str(self.port)}
                | {"unix_socket_directories": str(self._folder)}
                | self._settings
            ).items()
            for option in ("-c", f"{name}={value}")
        ]
        command = [*self._as_user(), self._programs / "postgres", "-D", self._data, *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        until(lambda: self._ready() or not self.lives, "the start of PostgreSQL")
        assert self.lives, self.log()

    def end(self, how: End = "fast") -> None:
        """End it in some way; return once all of its processes are gone."""
        assert self._process is not None
        below = [one.pid for one in processes().values() if one.parent == self._process.pid]
        self._process.send_signal(_SIGNALS[how])
        self._process.wait(60)
        limit = time.monotonic() + 60
        for pid in below:  # those of a killed one see for themselves that it is gone, and hold its memory until then
            assert ends(pid, limit), f"process {pid} of PostgreSQL lives on"

    def restart(self, how: End = "fast", *, down: float = 0.0) -> None:
        """End it and start it again after `down` seconds."""
        self.end(how)
        if down:
            select.select([], [], [], down)
        self.start()

    def copy(self) -> Path:
        """Copy its files, as a replica has them; it is stopped for that."""
        self.end()
        copy = self._folder / "copy"
        done = subprocess.run([*self._as_user(), "cp", "-a", self._seen, copy], check=False)
        assert done.returncode == 0
        self.start()
        return copy

    def fail_over(self, copy: Path) -> None:
        """Let a replica with these files take its place: the server dies, and what the copy does not have is lost."""
        self.end("kill")
        shutil.rmtree(self._seen)
        copy.rename(self._seen)
        (self._seen / "standby.signal").touch()
        self.start()
        assert self.execute("SELECT pg_promote()")[0][0]

    def close(self) -> None:
        """Stop it and remove all of it."""
        if self.lives:
            self.end("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def make(self, **more: str) -> str:
        """Make an empty database and return its URL; `more` are parameters of the URL."""
        self._made += 1
        name = f"windlass{self._made}"
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name, **more)

    def url(self, name: str, host: str = "127.0.0.1", port: int | None = None, **more: str) -> str:
        """Return the URL of a database, as it is reached at `host` and `port`; its own where none is given."""
        query = "&".join(f"{key}={value}" for key, value in more.items())
        return f"postgresql://{_USER}@{host}:{port or self.port}/{name}" + (f"?{query}" if query else "")

    def execute(self, statement: str, *values: Any, database: str = "postgres") -> list[asyncpg.Record]:
        """Do one statement in a database, outside of any transaction; return its rows."""

        async def work() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url(database), timeout=20)
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(work())

    def log(self) -> str:
        """Return the end of what it wrote."""
        path = self._folder / "log"
        return path.read_text(errors="replace")[-20_000:] if path.exists() else ""

    def _ready(self) -> bool:
        with suppress(OSError, IndexError):
            lines = (self._seen / "postmaster.pid").read_text().splitlines()
            assert self._process is not None
            return int(lines[0]) == self._process.pid and lines[7].strip() in {"ready", "standby"}
        return False

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return [*self._before]
        setpriv = shutil.which("setpriv")
        assert setpriv is not None, "PostgreSQL does not run as root and setpriv is missing: apt-get install util-linux"
        return [*self._before, setpriv, f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"]


def _newest() -> Path:
    """Return the folder with the programs of the newest PostgreSQL that is installed."""
    found = [path for path in _PROGRAMS.glob("*/bin") if re.fullmatch(r"\d+", path.parent.name)]
    assert found, _MISSING
    return max(found, key=lambda path: int(path.parent.name))


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
