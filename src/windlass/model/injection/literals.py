"""Values that enter a script as its own text: numbers, booleans, and what `raw()` pastes."""

from __future__ import annotations

import re
from typing import Any, Final

from windlass.errors import ExpressionError
from windlass.model.template import Hole, as_text

#: What is a number to every shell, and nothing else.
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?\Z", re.ASCII)


def literal(value: Any) -> str | None:
    """Return the text of a number or boolean, None of anything else."""
    return as_text(value) if isinstance(value, bool | int | float) else None


def number(value: Any, hole: Hole, place: str) -> str:
    """Return the text of a number, written as one or as a text; raises ExpressionError for anything else."""
    text = value if isinstance(value, str) else literal(value)
    if text is None or isinstance(value, bool) or not _NUMBER.match(text):
        raise hole.fail(f"must be a number, because it stands where {place} counts or compares")
    return text


def pasted(value: Any, hole: Hole) -> str:
    """Return the text that `raw()` pastes; raises ExpressionError for null and for what no script can hold."""
    try:
        text = as_text(value)
        text.encode()
    except ExpressionError as error:
        raise hole.fail(str(error)) from None
    except UnicodeEncodeError:
        raise hole.fail("has half a character (a lone surrogate), which cannot be passed on") from None
    if "\0" in text:
        raise hole.fail("has a NUL character, which no script can hold")
    return text
