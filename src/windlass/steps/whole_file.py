"""A file that appears under its name whole, or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Final

#: What file systems answer that know no files without a name (NFS is one), and kernels that know no such wish.
_UNKNOWN: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})


@dataclass(slots=True)
class WholeFile:
    """A file that is being written, in the folder where it will have its name."""

    descriptor: int
    folder: Path
    #: The name that it has until then, where it cannot be without one.
    _partial: Path | None

    def keep(self, name: str) -> bool:
        """Put all of it on the disk and give it its name; False where a file has that name already, which stays.

        The name itself is durable once the folder is put on the disk as well. Raises OSError; FileNotFoundError where
        somebody has removed the folder: made again, it takes the file.
        """
        os.fsync(self.descriptor)
        target = self.folder / name
        if self._partial is not None:
            known = target.exists()
            self._partial.rename(target)
            return not known
        with suppress(FileExistsError):
            # A folder must be given for the link of /proc to be followed, and is not needed: the path is absolute.
            os.link(f"/proc/self/fd/{self.descriptor}", target, src_dir_fd=self.descriptor)
            return True
        return False


@contextmanager
def new_file(folder: Path) -> Iterator[WholeFile]:
    """Give a file to write to, mode 0600, of which nothing is left unless it is kept, even where its process is killed.

    Where the file system knows no files without a name, one that begins with `.partial-` stays behind a process that
    was killed. Raises OSError, FileNotFoundError where there is no such folder.
    """
    descriptor, partial = _open(folder)
    try:
        yield WholeFile(descriptor, folder, partial)
    finally:
        os.close(descriptor)
        if partial is not None:
            with suppress(FileNotFoundError):
                partial.unlink()


def _open(folder: Path) -> tuple[int, Path | None]:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600), None
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
    descriptor, partial = mkstemp(prefix=".partial-", dir=folder)
    return descriptor, Path(partial)
