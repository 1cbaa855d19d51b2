"""Tokens of a CEL text: enough of its lexical grammar to find names, paths and the end of an expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from windlass.errors import ExpressionError

Kind = Literal["name", "string", "number", "mark"]

#: Words of CEL that are no names of variables.
KEYWORDS: Final = frozenset({"true", "false", "null", "in"})

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+ | //[^\n]*)
  | (?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:'''|\"\"\"|'|\"))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>0[xX][0-9a-fA-F]+[uU]? | (?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)
  | (?P<mark>&& | \|\| | [=!<>]= | [-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_OPEN: Final = {"(": ")", "[": "]", "{": "}"}
_CLOSE: Final = frozenset(_OPEN.values())


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a CEL text at `start` up to `end` (offsets in characters)."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def plain(self) -> str | None:
        """Return what a string literal stands for, or None where it has escapes or is a byte string."""
        if self.kind != "string":
            return None
        body = self.text.lstrip("rRbB")
        prefix = self.text[: len(self.text) - len(body)].lower()
        quote = body[:3] if body[:3] in {"'''", '"""'} and len(body) > len("''''") else body[0]
        inner = body[len(quote) : -len(quote)]
        if "b" in prefix or ("\\" in inner and "r" not in prefix):
            return None
        return inner


def tokens(text: str) -> tuple[Token, ...]:
    """Return all tokens of a CEL text; raises ExpressionError at what no token begins with."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        token, at = _next(text, at)
        if token is not None:
            found.append(token)
    return tuple(found)


def end_of_expression(text: str, start: int) -> int | None:
    """Return the offset of the `}}` that ends the expression which begins at `start`, or None where none does.

    Braces inside string literals, and those that close a brace of the expression itself, do not end it.
    """
    closing: list[str] = []
    at = start
    while at < len(text):
        if not closing and text.startswith("}}", at):
            return at
        try:
            token, at = _next(text, at)
        except ExpressionError:
            at += 1
            continue
        if token is None or token.kind != "mark":
            continue
        if token.text in _OPEN:
            closing.append(_OPEN[token.text])
        elif token.text in _CLOSE and closing:
            closing.pop()
    return None


def _next(text: str, at: int) -> tuple[Token | None, int]:
    """Return the token at `at` (None for space and comments) and the offset behind it."""
    match = _TOKEN.match(text, at)
    if match is None:
        raise ExpressionError(f"unexpected {text[at]!r}")
    kind = match.lastgroup
    if kind == "space":
        return None, match.end()
    end = match.end()
    if kind == "string":
        end = _end_of_string(text, match.end(), match.group())
    return Token(kind, text[at:end], at, end), end  # type: ignore[arg-type]  # the groups are named after the kinds


def _end_of_string(text: str, at: int, opening: str) -> int:
    """Return the offset behind a string literal whose opening quote ends at `at`."""
    quote = opening.lstrip("rRbB")
    is_raw = "r" in opening[: len(opening) - len(quote)].lower()
    while at < len(text):
        if text.startswith(quote, at):
            return at + len(quote)
        if text[at] == "\\" and not is_raw:
            at += 2
        elif text[at] == "\n" and len(quote) == 1:
            break
        else:
            at += 1
    raise ExpressionError(f"a text that begins with {opening} has no end")
