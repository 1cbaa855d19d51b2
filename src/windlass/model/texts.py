"""Texts that every store can keep: all but those with U+0000, which PostgreSQL has no room for.

What people and programs write as a name, a label or a note is refused where it has one; what steps say of themselves
gets U+FFFD in its place. Output is bytes and values are JSON, and keep it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from windlass.errors import UserError

NO_NUL: Final = "A text holds the character U+0000 (NUL), which no name, label or note has: leave it out."


def require_no_nul(texts: Iterable[str | None]) -> None:
    """Raise UserError where one of the texts has a U+0000."""
    if any(text is not None and "\0" in text for text in texts):
        raise UserError(NO_NUL)


def without_nul(text: str) -> str:
    """Return a text with U+FFFD for every U+0000."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
