"""Where log records go: a server's to standard error or a file, as text or JSON; those of commands to a file."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import UserError
from windlass.model.printable import printable

if TYPE_CHECKING:
    from windlass.settings import Settings

_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"
_LARGEST_FILE: Final = 1024 * 1024
#: What a record may be about, by the names of its own attributes; `subject` adds what the place it comes from knows.
_IDS: Final = ("run", "task", "attempt", "job", "step", "worker", "correlationId")

Subject = Callable[[], Mapping[str, str | int]]


def _nothing() -> Mapping[str, str | int]:
    return {}


class OneRecord(logging.Formatter):
    """One record as lines that nobody can forge: control characters escaped, later lines indented."""

    converter = staticmethod(time.gmtime)

    def __init__(self, subject: Subject = _nothing) -> None:
        """Write the time in UTC, and behind the message what the record is about."""
        super().__init__(_FORMAT, _TIME)
        self._subject = subject

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """Return the first line of a record."""
        ids = "".join(f" {name}={value}" for name, value in _ids(record, self._subject).items())
        return printable(super().formatMessage(record) + ids)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        """Return a traceback, each line indented."""
        return "\n".join(f"    {printable(line)}" for line in super().formatException(ei).splitlines())


class JsonRecord(logging.Formatter):
    """One record as one line of JSON."""

    converter = staticmethod(time.gmtime)

    def __init__(self, subject: Subject = _nothing) -> None:
        """Write the time in UTC, and beside the message what the record is about."""
        super().__init__(datefmt=_TIME)
        self._subject = subject

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        told: dict[str, Any] = {
            "time": f"{self.formatTime(record, _TIME)}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(record, self._subject),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def _ids(record: logging.LogRecord, subject: Subject) -> dict[str, str | int]:
    own = {name: getattr(record, name) for name in _IDS if hasattr(record, name)}
    return {**subject(), **own}


def of_server(settings: Settings, subject: Subject) -> None:
    """Send records where the settings say, as a server does; `subject` tells what is worked on where one is written.

    Raises UserError where the file cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler()
    if settings.log_file is not None:
        try:
            handler = _PrivateFile(settings.log_file, maxBytes=settings.log_file_size, backupCount=settings.log_files)
        except OSError as error:
            raise UserError(f"WINDLASS_LOG_FILE: {settings.log_file} cannot be written: {error.strerror}.") from None
    as_json = settings.log_format == "json"
    handler.setFormatter(JsonRecord(subject) if as_json else OneRecord(subject))
    _install(handler, logging.DEBUG if settings.debug else logging.INFO)


def to_file(home: Path) -> None:
    """Send warnings and errors to `logs/windlass.log` below `home`; the file is made with the first of them."""
    handler = _PrivateFile(home / "logs" / "windlass.log", maxBytes=_LARGEST_FILE, backupCount=3, delay=True)
    handler.setFormatter(OneRecord())
    _install(handler, logging.WARNING)


class _PrivateFile(RotatingFileHandler):
    def _open(self) -> Any:
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")


def _install(handler: logging.Handler, level: int) -> None:
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
