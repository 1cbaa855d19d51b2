"""Words of a command as far as they are known before it runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

_WINDOWS: Final = frozenset({"cmd", "powershell", "pwsh"})
_VERSION: Final = re.compile(r"[-.0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of a word that has an expression."""

    #: `refused`; `number`: only a number may stand there; `script`: the word is a script for a POSIX shell.
    kind: Literal["refused", "number", "script"]
    #: Why it is refused and what to do instead: goes on after the expression as a sentence.
    reason: str = ""


NUMBER: Final = Verdict("number")
SCRIPT: Final = Verdict("script")
#: By index of the word; a word that is not there is safe.
Verdicts = dict[int, Verdict]


def refused(reason: str) -> Verdict:
    """Return the verdict that no expression may stand there."""
    return Verdict("refused", reason)


def names(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its text where all of it is known, and what is known of its beginning where not."""

    #: None where a part is known only when the command runs.
    text: str | None
    #: The known text up to the first unknown part.
    prefix: str
    #: Whether an expression is a part of it.
    has_hole: bool = False

    @property
    def may_be_option(self) -> bool:
        """Return True where the value of an expression can make the word look like an option."""
        return self.has_hole and self.prefix in {"", "-", "--"}


def known(text: str) -> Word:
    """Return a word that is wholly known."""
    return Word(text, text)


def program_name(word: Word) -> str | None:
    """Return the name of the program that a command word starts: no folder, no `.exe`; None where it is not known."""
    if word.text is None:
        return None
    name = word.text.replace("\\", "/").rpartition("/")[2]
    lower = name.lower()  # names of Windows know no case
    return lower.removesuffix(".exe") if lower.endswith(".exe") or lower in _WINDOWS else name


def without_version(name: str) -> str:
    """Return `python` for `python3.11`."""
    return _VERSION.sub("", name)


def holes(words: Sequence[Word], start: int = 0) -> list[int]:
    """Return the indexes, from `start` on, of the words that have expressions."""
    return [index for index in range(start, len(words)) if words[index].has_hole]
