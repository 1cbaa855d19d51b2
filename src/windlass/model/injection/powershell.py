"""Expressions in a script for PowerShell: each becomes a reference to a variable that carries its value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from windlass.errors import ExpressionError
from windlass.model.injection.nodes import Frame
from windlass.model.injection.script import Script
from windlass.model.injection.sh import Complaint
from windlass.model.template import Hole, Piece, as_text, carried

_MARK: Final = "\ue000"
_SINGLE: Final = "'\u2018\u2019\u201a\u201b"
_DOUBLE: Final = '"\u201c\u201d\u201e'
_BEFORE_BARE: Final = frozenset(" \t\r\n(,;={|")
_AFTER_BARE: Final = frozenset(" \t\r\n),;}|")
_CALLS: Final = re.compile(r"(?:^|[\s({;|=])[&.]\s*\Z")
#: What turns a text into code, or hands it to somebody who does.
_CODE: Final = re.compile(
    r"""(?ix) (?<![\w-]) (?: iex | icm | saps | ii | sal | nal | invoke-(?:expression|command|item|wmimethod|cimmethod)
      | start-(?:process|job|threadjob) | set-alias | new-alias | add-type | new-(?:service|item|psdrive|object|module)
      | (?:new|register|set)-scheduled\w+ | powershell(?:\.exe)? | pwsh(?:\.exe)? | cmd(?:\.exe)? | wsl(?:\.exe)?
      | bash | sh | ssh | python\d* | perl | ruby | node | schtasks | wmic | sc(?:\.exe)? | runas
      | mshta | cscript | wscript
      | rundll32 | regsvr32 | set-(?:item|content|variable|psbreakpoint) | register-\w+event | trap ) (?![\w-])
      | \[ \s* (?:system\.)? (?:management\.automation\.)? (?:scriptblock|powershell|diagnostics\.process) \s* \]
      | \$executioncontext | \.invoke\w* | expandstring | newscriptblock | --%""",
)

Form = Literal["bare", "quoted"]


@dataclass(frozen=True, slots=True)
class Reference:
    """An expression of a script, how it stands there, and the variable that carries its value."""

    hole: Hole
    name: str
    form: Form
    #: Whether digits would join the name of a variable that stands right before.
    joins: bool

    def render(self, frame: Frame) -> str:
        """Return what stands in the script, and put a text into the frame's variables."""
        value = self.hole.expression.evaluate(frame.context)
        if self.form == "bare" and (value is None or isinstance(value, bool)):
            return {None: "$null", True: "$true", False: "$false"}[value]
        if isinstance(value, bool | int | float) and not self.joins:
            return as_text(value)
        frame.variables[self.name] = carried(value, self.hole)
        return f"${{env:{self.name}}}"


def compile_powershell(
    pieces: Sequence[Piece], name_for: Callable[[Hole], str]
) -> tuple[Script[Reference] | None, list[Complaint]]:
    """Return a script with its expressions in place, and what is to be said of them; None where one may not stand."""
    text = "".join(piece if isinstance(piece, str) else "raw" if piece.expression.is_raw else _MARK for piece in pieces)
    carrying = [piece for piece in pieces if isinstance(piece, Hole) and not piece.expression.is_raw]
    if text.count(_MARK) != len(carrying):
        raise ExpressionError("the script holds a character of the private use area (U+E000); remove it")
    forms = _Lexer(text).read()
    complaints = [
        Complaint(hole, form) for hole, form in zip(carrying, forms, strict=True) if form not in {"bare", "quoted"}
    ]
    if complaints:
        return None, complaints
    of_hole = iter(forms)
    parts: list[str | Hole | Reference] = []
    for piece in pieces:
        if isinstance(piece, str) or piece.expression.is_raw:
            parts.append(piece)
        else:
            before = parts[-1][-1:] if parts and isinstance(parts[-1], str) else ""
            form: Form = "bare" if next(of_hole) == "bare" else "quoted"
            parts.append(Reference(piece, name_for(piece), form, before.isalnum() or before in {"_", ":", "?"}))
    return Script(tuple(parts)), []


class _Lexer:
    """One pass over a script: finds for each mark the form of a reference, or why there can be none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        #: What encloses the current place: closing brackets, and `"` for a double-quoted text around them.
        self._open: list[str] = []
        self._found: list[str] = []
        self._places: list[int] = []
        self._statements: list[int] = [0]

    def read(self) -> list[str]:
        """Return for each mark, in order, `bare`, `quoted` or why no expression may stand there."""
        while self._at < len(self._text):
            if self._open and self._open[-1] in {'"', '@"'}:
                self._in_text()
            else:
                self._in_code()
        self._statements.append(len(self._text))
        return [self._final(found, at) for found, at in zip(self._found, self._places, strict=True)]

    def _final(self, found: str, at: int) -> str:
        """Refuse what stands in a statement that makes code of its texts."""
        start = max(one for one in self._statements if one <= at)
        end = min(one for one in self._statements if one > at)
        if found in {"bare", "quoted"} and (match := _CODE.search(self._text[start:end])):
            return f"stands in a statement with {match.group().strip()}, which can run it as code; pass it by `env`"
        return found

    def _note(self, found: str) -> None:
        self._found.append(found)
        self._places.append(self._at)
        self._at += 1

    def _refuse_up_to(self, end: int, reason: str) -> None:
        """Go to `end`; no mark on the way may be replaced."""
        while self._at < end:
            if self._text[self._at] == _MARK:
                self._note(reason)
            else:
                self._at += 1

    def _end_of(self, closing: str, start: int) -> int:
        """Return the offset behind the next `closing`, or the end of the script."""
        found = self._text.find(closing, start)
        return len(self._text) if found < 0 else found + len(closing)

    def _in_code(self) -> None:
        """Read one piece of code."""
        text, at = self._text, self._at
        char, two = text[at], text[at : at + 2]
        if char == _MARK:
            self._note(self._bare(at))
        elif char == "`":
            self._at += 1
            self._refuse_up_to(at + 2, "follows a backtick; write $${{ for a literal ${{")
        elif two[:1] == "@" and two[1:] in {*_SINGLE} and self._opens_here(at):
            self._refuse_up_to(
                self._end_of("\n'@", at), "stands in @'...'@, in which nothing is replaced; write @\"...\"@"
            )
        elif two[:1] == "@" and two[1:] in {*_DOUBLE} and self._opens_here(at):
            self._open.append('@"')
            self._at += 2
        elif char in _SINGLE:
            self._single(at)
        elif char in _DOUBLE:
            self._open.append('"')
            self._at += 1
        elif two == "<#":
            self._refuse_up_to(self._end_of("#>", at + 2), "stands in a comment; remove it")
        elif char == "#" and (at == 0 or text[at - 1] in " \t\r\n;(){}|,"):
            self._refuse_up_to(
                self._end_of("\n", at) - 1 if "\n" in text[at:] else len(text), "stands in a comment; remove it"
            )
        elif two == "${":
            self._refuse_up_to(self._end_of("}", at), "stands in the name of a variable")
        else:
            self._bracket(char)

    def _bracket(self, char: str) -> None:
        """Follow brackets and the ends of statements."""
        if char in "([{":
            self._open.append({"(": ")", "[": "]", "{": "}"}[char])
        elif char in ")]}" and self._open and self._open[-1] == char:
            self._open.pop()
        elif char in ";\n" and not self._open and not self._goes_on():
            self._statements.append(self._at + 1)
        self._at += 1

    def _goes_on(self) -> bool:
        """Say whether the statement goes on behind a line's end."""
        before = self._text[: self._at].rstrip(" \t\r")
        after = self._text[self._at + 1 :].lstrip()
        return self._text[self._at] == "\n" and (
            before.endswith(("|", ",", "`", "=", "+", "&&", "||")) or after[:1] == "|"
        )

    def _bare(self, at: int) -> str:
        """Return how a mark in code may be replaced."""
        before, after = self._text[:at], self._text[at + 1 :]
        if _CALLS.search(before):
            return "would be the name of a command; choose among names that the script has, by switch"
        if (before and before[-1] not in _BEFORE_BARE) or (after and after[0] not in _AFTER_BARE):
            return "is not a word of its own; write double quotes around the whole word"
        if re.match(r"[ \t]*(=(?!=)|[-+*/%]=|\+\+|--)", after):
            return "stands where something is assigned to; assign it to a variable"
        return "bare"

    def _opens_here(self, at: int) -> bool:
        """Say whether a here-string begins: only blanks stand between its quote and the end of the line."""
        return re.match(r"[ \t]*\r?\n", self._text[at + 2 :]) is not None

    def _single(self, at: int) -> None:
        """Read a single-quoted text, in which a doubled quote stands for one."""
        end = at + 1
        while end < len(self._text):
            if self._text[end] in _SINGLE:
                if self._text[end + 1 : end + 2] not in {*_SINGLE}:
                    break
                end += 1
            end += 1
        self._refuse_up_to(end + 1, "stands in single quotes, in which nothing is replaced; write double quotes")

    def _in_text(self) -> None:
        """Read one piece of a double-quoted text or here-string."""
        text, at, is_here = self._text, self._at, self._open[-1] == '@"'
        char, two = text[at], text[at : at + 2]
        if char == _MARK:
            self._note("quoted")
        elif char == "`":
            self._at += 1
            self._refuse_up_to(at + 2, "follows a backtick; write $${{ for a literal ${{")
        elif two == "$(":
            self._open.append(")")
            self._at += 2
        elif two == "${":
            self._refuse_up_to(self._end_of("}", at), "stands in the name of a variable")
        elif is_here and char == "\n" and re.match(rf"\n[{_DOUBLE}]@", text[at:]):
            self._open.pop()
            self._at += 3
        elif not is_here and char in _DOUBLE and text[at + 1 : at + 2] in {*_DOUBLE}:
            self._at += 2
        elif not is_here and char in _DOUBLE:
            self._open.pop()
            self._at += 1
        else:
            self._at += 1
