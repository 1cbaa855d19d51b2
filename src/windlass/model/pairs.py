"""Texts such as `name=value`, of which many make a mapping."""

from __future__ import annotations

from collections.abc import Iterable

from windlass.errors import UserError


def pairs(texts: Iterable[str], what: str) -> dict[str, str]:
    """Return `name=value` texts as a mapping; `what` is the word for one of them.

    Raises UserError where one has no `=` or no name, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f'A {what} is given as name=value, not "{text[:80]}".')
        if name in found:
            raise UserError(f'The {what} "{name}" is given twice.')
        found[name] = value
    return found
