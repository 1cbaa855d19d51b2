"""Text that a sentence quotes: what is not printable is written as an escape, so that it stays one line."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return `text` with line ends, control characters and the like written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
