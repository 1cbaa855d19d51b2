"""Keeping the files that a step names under `artifacts`: found by globs, copied out of its folder, and hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windlass.errors import LimitExceeded, NoRoom
from windlass.model.path_globs import PathGlobs
from windlass.model.room import Left
from windlass.steps.wanting import is_wanting
from windlass.steps.whole_file import WholeFile, new_file

_BLOCK: Final = 1024 * 1024
_LONGEST_NAME: Final = 1024


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that was kept."""

    #: Its path below the folder that it was found in, with slashes.
    name: str
    size: int
    sha256: str
    #: Where the copy is; files of the same content share one.
    path: Path


@dataclass(frozen=True, slots=True)
class Collected:
    """What was kept, and a sentence for each thing that was not."""

    artifacts: tuple[Artifact, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactLimits:
    """How much one attempt may keep."""

    files: int = 1000
    #: Bytes of all files together.
    size: int = 1024 * 1024 * 1024
    depth: int = 64
    #: What there is room for; None where nobody counts.
    room: Left | None = None


def collect_artifacts(
    work: Path, globs: Sequence[str], into: Path, *, offered: Path | None = None, limits: ArtifactLimits | None = None
) -> Collected:
    """Copy what `globs` name below `work`, and everything below `offered`, to `into`; blocks, so call it in a thread.

    Links, devices, pipes and files that belong to others are left out and named. `offered` is the folder that a step
    knows as `WINDLASS_ARTIFACTS`. Each copy appears complete or not at all, under the hash of its content.

    `into` is made where there is something to keep. Raises LimitExceeded over a limit and NoRoom without room, with
    nothing new in `into`; OSError where a copy cannot be written, or nothing can be looked at for want of descriptors.
    """
    collection = _Collection(into, limits or ArtifactLimits())
    try:
        matched = collection.take(work, PathGlobs(globs)) if globs else frozenset[int]()
        if offered is not None:
            collection.take(offered, PathGlobs(["**"]))
        collection.settle()
    except BaseException:
        collection.undo()
        raise
    unmatched = [f'no file matches "{glob}"' for number, glob in enumerate(globs) if number not in matched]
    return Collected(tuple(collection.artifacts), (*collection.left_out, *unmatched))


class _Collection:
    """The copies of one attempt as they grow."""

    def __init__(self, into: Path, limits: ArtifactLimits) -> None:
        self._into = into
        self._limits = limits
        self._size = 0
        self._names: set[str] = set()
        self._made: list[Path] = []
        self.artifacts: list[Artifact] = []
        self.left_out: list[str] = []

    def take(self, folder: Path, globs: PathGlobs) -> frozenset[int]:
        """Copy what matches below `folder`; return the numbers of the globs that matched a file."""
        matched: set[int] = set()
        try:
            top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if is_wanting(error):
                raise
            return frozenset()
        try:
            owner = os.fstat(top).st_uid
            for parent, name, entry, hits in self._walk(top, "", globs, globs.start(), 0):
                if self._take_file(parent, name, entry, owner):
                    matched |= hits
        finally:
            os.close(top)
        return frozenset(matched)

    def settle(self) -> None:
        """Make the names of the copies durable."""
        if self._made:
            folder = os.open(self._into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def undo(self) -> None:
        """Remove the copies that were made."""
        for path in self._made:
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            self._into.rmdir()  # where nothing else is in it

    def _walk(
        self, folder: int, below: str, globs: PathGlobs, state: frozenset[tuple[int, int]], depth: int
    ) -> Iterator[tuple[int, str, os.DirEntry[str], frozenset[int]]]:
        """Yield every entry that matches and is no folder: the folder's descriptor, name, entry, matching globs."""
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            after = globs.step(state, entry.name)
            if not after:
                continue
            name = below + entry.name
            if not entry.is_dir(follow_symlinks=False):
                if hits := globs.matching(after):
                    yield folder, name, entry, hits
            elif depth >= self._limits.depth:
                self._leave_out(name, f"it is deeper than {self._limits.depth} folders")
            else:
                try:
                    # Opened relative to its parent and without following: nothing above can be swapped meanwhile.
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    inner = os.open(entry.name, flags, dir_fd=folder)
                except OSError as error:
                    if is_wanting(error):
                        raise
                    self._leave_out(name, str(error.strerror))
                    continue
                try:
                    yield from self._walk(inner, name + "/", globs, globs.inside(after), depth + 1)
                finally:
                    os.close(inner)

    def _take_file(self, folder: int, name: str, entry: os.DirEntry[str], owner: int) -> bool:
        if name in self._names:
            return True
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            self._leave_out(ascii(name)[1:-1][:80], "its name cannot be shown")
            return False
        try:
            source = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if is_wanting(error):
                raise
            self._leave_out(name, "it is a link" if entry.is_symlink() else str(error.strerror))
            return False
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                self._leave_out(name, "it is no plain file")
                return False
            if found.st_nlink > 1 and found.st_uid != owner:
                self._leave_out(name, "it belongs to somebody else")
                return False
            self._copy(source, name)
        finally:
            os.close(source)
        return True

    def _copy(self, source: int, name: str) -> None:
        if len(self.artifacts) >= self._limits.files:
            raise LimitExceeded("the artifacts of a task", len(self.artifacts) + 1, self._limits.files)
        digest = hashlib.sha256()
        size = 0
        with self._new_file() as copy:
            while block := os.read(source, _BLOCK):
                size += len(block)
                self._check_size(self._size + size)
                digest.update(block)
                _write_all(copy.descriptor, block)
            path = self._into / digest.hexdigest()
            if self._keep(copy, path.name):
                self._made.append(path)
        self._size += size
        self._names.add(name)
        self.artifacts.append(Artifact(name, size, digest.hexdigest(), path))

    @contextmanager
    def _new_file(self) -> Iterator[WholeFile]:
        """Make a file in the folder of copies, which may be missing: it is made for the first copy only."""
        with ExitStack() as stack:
            made: WholeFile | None = None
            while made is None:
                self._into.mkdir(mode=0o700, exist_ok=True)
                with suppress(FileNotFoundError):  # another attempt has just removed the folder, empty as it was
                    made = stack.enter_context(new_file(self._into))
            yield made

    def _keep(self, copy: WholeFile, name: str) -> bool:
        while True:
            with suppress(FileNotFoundError):  # as above
                return copy.keep(name)
            self._into.mkdir(mode=0o700, exist_ok=True)

    def _check_size(self, size: int) -> None:
        if size > self._limits.size:
            raise LimitExceeded("the artifacts of a task in bytes", size, self._limits.size)
        if self._limits.room is not None and size > self._limits.room.size:
            raise NoRoom(self._limits.room.sentence)

    def _leave_out(self, name: str, why: str) -> None:
        # Named once each, and no more than can be read.
        if len(self.left_out) < 100:  # noqa: PLR2004 - a bound without further meaning
            self.left_out.append(f'"{name}" is left out: {why}')


def _write_all(target: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(target, view) :]
