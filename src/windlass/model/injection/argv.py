"""Expressions in a list of arguments: each stays within its argument, unless a program reads that argument as code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from windlass.errors import ExpressionError
from windlass.model.injection.commands import judge
from windlass.model.injection.words import Verdicts, Word
from windlass.model.template import Piece

#: Arguments of a command that has any expression, for the time that its judgement takes.
MAX_ARGUMENTS: Final = 1000
#: Roots whose values the author of the job wrote down, or Windlass itself.
_FROM_WITHIN = frozenset({"matrix", "job", "project", "run"})


def words_of(items: Sequence[tuple[Piece, ...] | Any]) -> list[Word]:
    """Return the items of a list as words; an item that is no tuple of pieces is known as it is."""
    return [_word(item) if isinstance(item, tuple) else Word(str(item), str(item)) for item in items]


def _word(pieces: tuple[Piece, ...]) -> Word:
    """Return one item as a word."""
    match pieces:
        case ():
            return Word("", "")
        case (str() as text,):
            return Word(text, text)
        case (str() as text, *_):
            return Word(None, text, has_hole=True)
    return Word(None, "", has_hole=True)


def judge_arguments(words: Sequence[Word]) -> Verdicts:
    """Return what is to be said of the arguments that have expressions, by index.

    Raises ExpressionError where they are too many to be judged.

    The program itself may be an expression here: no shell reads the list, and a matrix is a fair way to choose one.
    What follows is then judged as if any program could be meant.
    """
    if len(words) > MAX_ARGUMENTS and any(word.has_hole for word in words):
        limit = f"a command with expressions may have {MAX_ARGUMENTS:,} arguments"
        raise ExpressionError(f"{limit}, not {len(words):,}; pass them by a file")
    if not words or not words[0].has_hole:
        return judge(words)
    return judge([Word(None, ""), *words[1:]])


def chosen_from_outside(pieces: tuple[Piece, ...]) -> bool:
    """Say whether the beginning of a text is a value that is not the author's own."""
    first = pieces[0] if pieces else ""
    return not isinstance(first, str) and any(use.path.root not in _FROM_WITHIN for use in first.expression.uses)
