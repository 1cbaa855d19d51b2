"""The way from a worker to its server, with a proxy in it: the worker takes the gate for the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.faults.fleet.proxy import Proxy
from windlass.store.lockfile import LockFile, Note, lock_path

_ROOT: Final = Path(__file__).parents[3]


class Gate:
    """A proxy before a server's socket, and a lock file that names it as the owner of a store; a context manager."""

    def __init__(self, folder: Path, server: Path, *, seed: int) -> None:
        """Prepare in the new folder `folder`; `server` is the socket that leads to the server."""
        folder.mkdir(mode=0o700)
        #: What a worker takes for the database of its server.
        self.database = folder / "windlass.db"
        self.proxy = Proxy(folder / "relay", seed=seed, listen=folder / "socket")
        self._server = server
        self._lock = LockFile(lock_path(self.database))
        self._relay: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Open it."""
        assert isinstance(self.proxy.target, Path)
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fleet.relay", self.proxy.target, self._server],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._relay.stdout is not None
        assert self._relay.stdout.readline() == "ready\n"
        self.proxy.__enter__()
        assert self._lock.take()
        self._lock.write(Note(pid=os.getpid(), socket=str(self.proxy.address)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._lock.close()
        self.proxy.close()
        if self._relay is not None:
            self._relay.communicate(timeout=20)
