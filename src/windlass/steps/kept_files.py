"""The files of kept results: linked beside those of the run that made them, checked, and linked into other runs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from windlass.steps.wanting import is_wanting
from windlass.steps.whole_file import new_file

_BLOCK: Final = 1024 * 1024
_NAME: Final = re.compile(r"[0-9a-f]{64}")
#: Seconds for which a file stays that no result names: one that is being kept is linked before it is written down.
GRACE: Final = 3600.0


class Damaged(Exception):
    """A file is gone, or no longer what it was."""


def keep_files(found: Sequence[tuple[Path, str]], into: Path) -> None:
    """Keep files `(path, sha256)` in the folder `into`, by their hashes; blocks, so call it in a thread.

    One that is there already stays. Raises OSError where one cannot be kept.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, sha256 in found:
        _link(path, into / sha256)


def take_files(wanted: Sequence[tuple[str, int]], kept: Path, into: Path) -> None:
    """Put files `(sha256, size)` of the folder `kept` into the folder of a run, once all were read and found whole.

    Blocks, so call it in a thread. A file that is damaged is removed from `kept`, and nothing is put anywhere.
    Raises Damaged where one is; OSError where one cannot be read now, or not be put there.
    """
    for sha256, size in dict.fromkeys(wanted):
        if not _is_whole(kept / sha256, sha256, size):
            with suppress(OSError):
                (kept / sha256).unlink()
            raise Damaged(sha256)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    for sha256, _ in dict.fromkeys(wanted):
        _link(kept / sha256, into / sha256)
    folder = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def drop_files(kept: Path, needed: Collection[str], *, age: float = GRACE) -> int:
    """Remove the files of the folder `kept` that no result needs and that came there `age` seconds ago or earlier.

    Return how many those are; blocks, so call it in a thread.
    """
    removed = 0
    before = time.time() - age
    try:
        found = list(os.scandir(kept))
    except OSError:
        return 0
    for entry in found:
        with suppress(OSError):
            if entry.name not in needed and entry.stat(follow_symlinks=False).st_ctime <= before:
                Path(entry.path).unlink()
                removed += bool(_NAME.fullmatch(entry.name))
    return removed


def _is_whole(path: Path, sha256: str, size: int) -> bool:
    if not _NAME.fullmatch(sha256):
        return False
    digest = hashlib.sha256()
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != size:
                return False
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        if is_wanting(error):
            raise
        return False
    return digest.hexdigest() == sha256


def _link(path: Path, target: Path) -> None:
    """Let a file have a second name; where the disk knows no such thing it is copied."""
    try:
        os.link(path, target, follow_symlinks=False)
    except FileExistsError:
        with suppress(OSError):
            os.utime(target)  # it is needed anew: see GRACE
    except FileNotFoundError:
        raise
    except OSError:
        with path.open("rb") as source, new_file(target.parent) as copy:
            with os.fdopen(copy.descriptor, "wb", closefd=False) as file:
                shutil.copyfileobj(source, file, _BLOCK)
            copy.keep(target.name)
