"""Files that workers in other processes bring, piece by piece: each appears complete and under its hash, or not."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from windlass.errors import Conflict, LimitExceeded, UserError
from windlass.ids import id_text
from windlass.steps.artifacts import ArtifactLimits

_log = logging.getLogger(__name__)

_BLOCK: Final = 1024 * 1024
_LARGEST: Final = ArtifactLimits().size


def put_piece(artifacts: Path, run_id: bytes, who: str, sha256: str, size: int, offset: int, data: bytes) -> int:
    """Keep a piece of a file of a run; return how many bytes of it are there now, all of them once it is whole.

    Pieces come in order, and any of them again. `who` tells apart those who bring the same file; blocks, so call it in
    a thread. Raises Conflict where the pieces before are not there, UserError where the whole is not what its hash
    says, LimitExceeded where it is too large, OSError where it cannot be written.
    """
    if size > _LARGEST:
        raise LimitExceeded("the bytes of a file", size, _LARGEST)
    if offset + len(data) > size:
        raise UserError("A piece goes beyond the end of its file.")
    folder = artifacts / id_text(run_id)
    whole, part = folder / sha256, folder / f".{sha256}.{who}"
    if _size(whole) == size:
        return size
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END) < offset:
            raise Conflict("The pieces of the file before this one are not here: begin anew.")
        file.seek(offset)
        file.truncate()
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        if offset + len(data) < size:
            return offset + len(data)
        file.seek(0)
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
        if digest.hexdigest() != sha256:
            part.unlink()
            raise UserError("The file is not what its hash says.")
        os.fsync(file.fileno())
    part.rename(whole)
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(above)
    finally:
        os.close(above)
    return size


def missing_files(artifacts: Path, reports: Sequence[Mapping[str, Any]]) -> None:
    """Leave out of reports the files that were never brought, with a word about each; blocks."""
    for report in reports:
        files = report.get("artifacts")
        if not files:
            continue
        there = [one for one in files if _size(artifacts / str(report["runId"]) / str(one["sha256"])) == one["size"]]
        if len(there) < len(files):
            _log.error("%d files of run %s were never brought here", len(files) - len(there), report["runId"])
            files[:] = there


def _size(path: Path) -> int | None:
    with suppress(OSError):
        return path.lstat().st_size
    return None
