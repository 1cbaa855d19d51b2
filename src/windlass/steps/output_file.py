"""Reading the file that a step writes its outputs to, trusting nothing about it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from windlass.errors import LimitExceeded, UserError
from windlass.steps.wanting import is_wanting

if TYPE_CHECKING:
    from pathlib import Path

#: Larger than all outputs may be, since a key may be written again.
_MOST: Final = 1024 * 1024


def read_output_file(path: Path) -> bytes:
    """Return the content of `path`, empty where the step made no such file.

    Raises LimitExceeded above 1 MiB and UserError where it is a link, a folder, a pipe or a device, or unreadable;
    OSError where the machine has too little left to look at it.
    """
    try:
        # Not blocking: a pipe in its place would hold the worker.
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if is_wanting(error):
            raise
        raise UserError(f"$WINDLASS_OUTPUT is left out: {error.strerror}") from None
    try:
        found = os.fstat(file)
        # A second name would be a file that the step could not read by itself.
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise UserError("$WINDLASS_OUTPUT is left out: it is not a plain file")
        with os.fdopen(os.dup(file), "rb") as reader:
            content = reader.read(_MOST + 1)
    finally:
        os.close(file)
    if len(content) > _MOST:
        raise LimitExceeded("$WINDLASS_OUTPUT in bytes", max(found.st_size, len(content)), _MOST)
    return content
