"""The known word that somebody most likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

#: Words longer than this are no typing mistakes, and comparing them costs time.
_LONGEST = 64
#: Among more words than this no likely one is looked for.
_MOST = 1000


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to `word`, or None where none is near."""
    if len(word) > _LONGEST:
        return None
    names = list(islice(known, _MOST + 1))
    if len(names) > _MOST:
        return None
    plain = {_plain(name): name for name in reversed(names)}
    if _plain(word) in plain:
        return plain[_plain(word)]
    near = get_close_matches(_plain(word), plain, n=1, cutoff=0.65)
    return plain[near[0]] if near else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "x"?`, or nothing where no known word is near."""
    near = closest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def _plain(word: str) -> str:
    """Return a word without what people get wrong most: case, dashes, underscores."""
    return word.lower().replace("_", "").replace("-", "")
