"""Texts of SQL with `?` for each value, as PostgreSQL wants them: `$1`, `$2`, ...; or its other drivers: `%s`."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count
from typing import Final

#: What may hold a question mark that stands for itself, or the mark of a value.
_PIECE: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?|\binstr(?=\()")
#: Functions that are called otherwise, and are the same.
_WORDS: Final = {"instr": "strpos"}


@lru_cache(maxsize=2048)
def numbered(sql: str) -> str:
    """Return `sql` with its marks numbered; those in literals and quoted names stay."""
    numbers = count(1)
    return _PIECE.sub(lambda piece: f"${next(numbers)}" if piece[0] == "?" else _WORDS.get(piece[0], piece[0]), sql)


@lru_cache(maxsize=256)
def with_percents(sql: str) -> str:
    """Return `sql` with `%s` for each value, and every other percent sign twice."""
    return _PIECE.sub(lambda piece: "%s" if piece[0] == "?" else _WORDS.get(piece[0], piece[0]), sql.replace("%", "%%"))
