"""What can be an idempotency key, by whichever door it comes."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 200
#: What a key is, as the end of a sentence.
WHAT_IT_HAS: Final = f"has 1 to {_LONGEST} printable characters of ASCII"


def is_key(value: object) -> bool:
    """Say whether a value can be an idempotency key: a text that also a header can hold as it is."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        return False
    return value.isascii() and value.isprintable() and value == value.strip()
