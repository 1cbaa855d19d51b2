"""Try whether a folder takes files, and leave it as it was; see whether something is there at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from windlass.errors import Unavailable


def exists(path: Path) -> bool:
    """Say whether there is something. Raises Unavailable where the disk does not say."""
    try:
        return path.exists()
    except OSError as error:
        raise Unavailable(f"The archive cannot be read: {error.strerror}: {path}.") from error


def try_folder(folder: Path) -> None:
    """Write a flushed file to a folder and remove it; folders that have to be made for it are removed too.

    Raises Unavailable where one of that cannot be done.
    """
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    path = folder / f".tried-{os.urandom(4).hex()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"tried")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(
            f"The archive cannot be written: {error.strerror}: {folder}; make it writable, or mount its disk."
        ) from error
    finally:
        with suppress(OSError):
            path.unlink()
        for one in new:
            with suppress(OSError):
                one.rmdir()
