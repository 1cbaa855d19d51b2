"""Secrets from files: `secret://file/PATH`, below the folders that the settings name."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from windlass.engine.secret import SecretUnavailable

#: Larger files are no secrets.
MAX_BYTES = 1024 * 1024


class FileSecrets:
    """Gives the text of regular files below `folders`; nothing that a link leads out of them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Read below `folders` only."""
        self._folders = tuple(folder.resolve() for folder in folders)

    async def resolve(self, path: str, project: str) -> str:  # noqa: ARG002 - the same for every project
        """Return the file's text without its last line end. A relative path is looked for in each folder."""
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> str:
        reference = f"secret://file/{path}"
        for folder in self._folders:
            for written in (folder / path, Path("/") / path):
                try:
                    found = written.resolve()
                    there = found.is_relative_to(folder) and found.exists()
                except (OSError, RuntimeError, ValueError) as error:  # no permission, links in a ring, a NUL
                    raise SecretUnavailable(f"{reference}: the file cannot be found: {error}.") from error
                if there:
                    return _text(found, reference)
        places = ", ".join(map(str, self._folders)) or "no folder"
        raise SecretUnavailable(f"{reference}: there is no such file below {places} (WINDLASS_SECRET_DIRS).")


def _text(path: Path, reference: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretUnavailable(f"{reference}: the file cannot be read: {error.strerror}.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SecretUnavailable(f"{reference}: it is not a regular file.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SecretUnavailable(f"{reference}: the file cannot be read: {error.strerror}.") from error
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise SecretUnavailable(f"{reference}: the file is larger than {MAX_BYTES:,} bytes.")
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise SecretUnavailable(f"{reference}: the file is not UTF-8 text.") from error
