"""Where log records go: to standard error for a server, to a file for commands, never with control characters."""

from __future__ import annotations

import logging
import os
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

from windlass.model.printable import printable

_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"
_LARGEST_FILE: Final = 1024 * 1024


class OneRecord(logging.Formatter):
    """One record as lines that nobody can forge: control characters escaped, later lines indented."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        """Write the time in UTC."""
        super().__init__(_FORMAT, "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """Return the first line of a record."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        """Return a traceback, each line indented."""
        return "\n".join(f"    {printable(line)}" for line in super().formatException(ei).splitlines())


def to_stderr(*, debug: bool) -> None:
    """Send records to standard error, as a server does."""
    _install(logging.StreamHandler(), logging.DEBUG if debug else logging.INFO)


def to_file(home: Path) -> None:
    """Send warnings and errors to `logs/windlass.log` below `home`; the file is made with the first of them."""
    _install(
        _PrivateFile(home / "logs" / "windlass.log", maxBytes=_LARGEST_FILE, backupCount=3, delay=True), logging.WARNING
    )


class _PrivateFile(RotatingFileHandler):
    def _open(self) -> Any:
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")


def _install(handler: logging.Handler, level: int) -> None:
    handler.setFormatter(OneRecord())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
