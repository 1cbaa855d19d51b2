"""The files of archived runs: each content once, in a file named by its SHA-256.

A file gets its name once it is whole, read back and flushed. Who is killed before that leaves one that is not finished,
which `remove` takes away together with the one of that name.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from windlass.errors import CorruptStore, Unavailable
from windlass.store.archive.private import make_private

_CHUNK: Final = 1 << 20
#: How the name of a file begins that is not whole yet.
UNFINISHED: Final = ".part-"
#: What a file system says that makes no second name for a file, or not there.
_NO_LINKS: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES})


class Depot:
    """Files in one folder; all methods block, so call them in a thread."""

    def __init__(self, folder: Path) -> None:
        """Keep files in `folder`, which is made when it is first needed."""
        self.folder = folder

    def take(self, source: Path, sha256: str) -> bool:
        """Keep the content of a file, unless it is kept already; False where there is no such file.

        Raises CorruptStore where the file, or the copy that was made of it, is not what `sha256` says; Unavailable
        where the disk does not take it.
        """
        try:
            if self._holds(sha256):
                return True
            make_private(self.folder)
            unfinished = self._unfinished(sha256)
            unfinished.unlink(missing_ok=True)
            try:
                if not _same_or_copy(source, unfinished):
                    return False
                found = _digest(unfinished)
                if found != sha256:
                    raise CorruptStore(f"The kept file {source} is not what it was: it has the SHA-256 {found}.")
                unfinished.rename(self.folder / sha256)
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                f"The archive's folder {self.folder} does not take the file {source}: {error.strerror}."
            ) from error
        return True

    def settle(self) -> None:
        """Make the names of what was taken durable. Raises Unavailable where the disk does not."""
        try:
            for folder in (self.folder, *list(self.folder.parents)[:2]):
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(f"The archive's folder {self.folder} cannot be flushed: {error.strerror}.") from error

    def check(self, sha256: str) -> None:
        """Raise CorruptStore where a content is not there any more, or not what it was."""
        path = self.folder / sha256
        try:
            found = _digest(path)
        except OSError as error:
            raise CorruptStore(f"The archive's file {path} cannot be read: {error.strerror}.") from error
        if found != sha256:
            raise CorruptStore(f"The archive's file {path} is damaged: it has the SHA-256 {found}.")

    def give(self, sha256: str, target: Path) -> None:
        """Write a content to a new file, or over one that is there. Raises Unavailable where that cannot be done."""
        unfinished = target.with_name(f"{UNFINISHED}{target.name}")
        try:
            make_private(target.parent)
            unfinished.unlink(missing_ok=True)
            _copy(self.folder / sha256, unfinished)
            unfinished.rename(target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise Unavailable(f"The file {target} cannot be brought back: {error.strerror}.") from error

    def names(self) -> list[str]:
        """Return the names of all that is there, what was not finished included. Raises Unavailable where it cannot."""
        try:
            return sorted(entry.name for entry in os.scandir(self.folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"The archive's folder {self.folder} cannot be read: {error.strerror}.") from error

    def remove(self, names: Collection[str]) -> None:
        """Remove contents, unfinished ones too; what is gone already stays gone. Raises Unavailable where it cannot."""
        try:
            for name in names:
                for path in (self.folder / name, self._unfinished(name)):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                f"The archive's folder {self.folder} does not let go of files: {error.strerror}."
            ) from error
        with suppress(OSError):
            self.folder.rmdir()  # where nothing is left in it

    def _unfinished(self, sha256: str) -> Path:
        return self.folder / f"{UNFINISHED}{sha256}"

    def _holds(self, sha256: str) -> bool:
        """Say whether a content is there, and sound; one that is not is made anew."""
        try:
            return _digest(self.folder / sha256) == sha256
        except FileNotFoundError:
            return False


def _same_or_copy(source: Path, target: Path) -> bool:
    """Give a file a second name, or copy it where it lies on another disk; False where there is none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _copy(source, target)
    descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _copy(source: Path, target: Path) -> bool:
    """Write a flushed copy with mode 0600; False where there is no such file."""
    try:
        reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            for chunk in _chunks(reading):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(writing, view) :]
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    return True


def _digest(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    digest = hashlib.sha256()
    try:
        for chunk in _chunks(descriptor):
            digest.update(chunk)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, _CHUNK):
        yield chunk
