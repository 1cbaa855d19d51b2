"""Names of queues, as whoever works on them writes them."""

from __future__ import annotations

import re
from typing import Final

from windlass.errors import UserError
from windlass.model.printable import printable

_NAME: Final = re.compile(r"\.?[a-z0-9][a-z0-9_-]{0,62}")


def queue_name(text: str) -> str:
    """Return the name of a queue, which no task may have used yet. Raises UserError where no queue can have it."""
    if not _NAME.fullmatch(text):
        raise UserError(f'"{printable(text)}" is no name of a queue: small letters, digits, - and _, 63 at most.')
    return text
