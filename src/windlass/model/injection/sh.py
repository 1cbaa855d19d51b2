"""Expressions in a script for sh: each becomes a reference to a variable that carries its value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from windlass.errors import ExpressionError
from windlass.model.finding import Within
from windlass.model.injection.literals import literal, number
from windlass.model.injection.nodes import Frame
from windlass.model.injection.script import Script
from windlass.model.injection.sh_places import Form, Refused, Setting, Standing, stand
from windlass.model.injection.sh_tree import by_kind, node_at, parse
from windlass.model.injection.sh_uses import Nodes, counted_variables, handed_on, typed_variables
from windlass.model.injection.sh_words import PLACEHOLDER
from windlass.model.template import Hole, Piece, UnreadableText, carried

if TYPE_CHECKING:
    from tree_sitter import Node

#: Bytes and expressions of a script that has any, for the time that its judgement takes.
MAX_SCRIPT: Final = 32 * 1024
MAX_EXPRESSIONS: Final = 200
#: Beside these a literal stands as a word of its own.
_BEFORE: Final = frozenset(" \t\n=(;")
_AFTER: Final = frozenset(" \t\n;)&|")
_RAW: Final = "windlass_raw"
#: Put before a placeholder that would else become part of a variable's name: a reference never does.
_APART: Final = b"."
#: `$name[` without a brace is an index in zsh alone.
_ZSH_INDEX: Final = re.compile(rb"\$[^\s\]]*\[[^\]]*\Z")
_NAME_BEFORE: Final = re.compile(rb"\$[A-Za-z0-9_]+\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """An expression of a script, how it stands there, and the variable that carries its value."""

    hole: Hole
    name: str
    standing: Standing
    #: How a number stands there: as it is, in quotes, or in the variable where its digits would join what is before.
    digits: Literal["plain", "quoted", "carried"]

    def render(self, frame: Frame) -> str:
        """Return what stands in the script, and put the value into the frame's variables."""
        value = self.hole.expression.evaluate(frame.context)
        text = number(value, self.hole, "the shell") if self.standing.number_only else literal(value)
        if text is not None and self.digits != "carried":
            return text if self.digits == "plain" else f'"{text}"'
        frame.variables[self.name] = carried(value, self.hole)
        return _reference(self.name, self.standing)


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why an expression may not stand where it does, or a warning about it."""

    hole: Hole
    message: str
    is_error: bool = True


def compile_script(
    pieces: Sequence[Piece], shell: str, name_for: Callable[[Hole], str]
) -> tuple[Script[Reference] | None, list[Complaint]]:
    """Return a script for `shell` with its expressions in place, and what is to be said of them.

    `name_for` gives the variable that carries an expression. Raises ExpressionError where nothing of the script can be
    judged; the script is None where an expression may not stand where it does.
    """
    expressions = sum(isinstance(piece, Hole) and not piece.expression.is_raw for piece in pieces)
    placed = _place(pieces, name_for) if len(pieces) <= MAX_SCRIPT and expressions <= MAX_EXPRESSIONS else None
    if placed is None or len(placed.script) > MAX_SCRIPT:
        limits = f"{MAX_SCRIPT:,} bytes and {MAX_EXPRESSIONS} expressions"
        raise ExpressionError(f"a script with expressions may have {limits}; put parts of it into files")
    root = parse(placed.script)
    if root.has_error:
        line = _error_line(root)
        said = f"line {line}: the script cannot be parsed, so its expressions cannot be judged"
        raise UnreadableText(said, Within(line))
    nodes = by_kind(root)
    setting = Setting(shell, typed_variables(nodes), counted_variables(nodes))
    complaints: list[Complaint] = []
    standings: dict[int, Standing] = {}
    for index, (start, end) in placed.spans.items():
        hole = pieces[index]
        assert isinstance(hole, Hole)  # noqa: S101 - spans are those of the holes
        try:
            if _is_escaped(placed.script, start):
                raise Refused("follows a backslash; write $${{ for a literal ${{")  # noqa: TRY301
            if shell == "zsh" and _ZSH_INDEX.search(placed.script[:start]):
                raise Refused("stands in the index of an array, which zsh reads as arithmetic")  # noqa: TRY301
            standings[index] = stand(node_at(root, start, end), start, setting)
        except Refused as refusal:
            complaints.append(Complaint(hole, str(refusal)))
    if complaints:
        return None, complaints
    script = _assemble(pieces, standings, placed, name_for)
    _check_again(script)
    return script, list(_doubts(pieces, standings, nodes))


def _doubts(pieces: Sequence[Piece], standings: Mapping[int, Standing], nodes: Nodes) -> Iterator[Complaint]:
    """Go over what is to be said of values that are safe where they stand."""
    assigned = {one.assigned for one in standings.values() if one.assigned is not None and not one.number_only}
    found = handed_on(nodes, frozenset(assigned))
    for index, standing in standings.items():
        hole = pieces[index]
        if isinstance(hole, Hole) and standing.language is not None:
            yield Complaint(hole, f"becomes part of {standing.language}, which is not quoted", is_error=False)
        if isinstance(hole, Hole) and standing.assigned in found:
            yield Complaint(hole, found[standing.assigned], is_error=False)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A script with a placeholder for each expression."""

    script: bytes
    #: Start and end of each placeholder in bytes, by the index of its piece; those of `raw()` are left out.
    spans: dict[int, tuple[int, int]]


def _place(pieces: Sequence[Piece], name_for: Callable[[Hole], str]) -> _Placed:
    """Return the script with placeholders; raises ExpressionError where its own text looks like one."""
    script = bytearray()
    spans: dict[int, tuple[int, int]] = {}
    for index, piece in enumerate(pieces):
        if isinstance(piece, str):
            if match := PLACEHOLDER.search(piece):
                raise ExpressionError(
                    f"{match.group()}: names that begin so carry the values of expressions; use another"
                )
            script += piece.encode(errors="replace")
            continue
        text = (_RAW if piece.expression.is_raw else name_for(piece)).encode()
        if _NAME_BEFORE.search(script):
            script += _APART
        if not piece.expression.is_raw:
            spans[index] = (len(script), len(script) + len(text))
        script += text
    return _Placed(bytes(script), spans)


def _assemble(
    pieces: Sequence[Piece], standings: dict[int, Standing], placed: _Placed, name_for: Callable[[Hole], str]
) -> Script[Reference]:
    """Return the script out of its pieces."""
    parts: list[str | Hole | Reference] = []
    for index, piece in enumerate(pieces):
        if isinstance(piece, str) or piece.expression.is_raw:
            parts.append(piece)
            continue
        start, end = placed.spans[index]
        before = placed.script[:start].removesuffix(_APART)[-1:].decode("latin-1")
        after = placed.script[end : end + 1].decode("latin-1")
        digits = _digits(standings[index].form, before, after)
        parts.append(Reference(piece, name_for(piece), standings[index], digits))
    return Script(tuple(parts))


def _digits(form: Form, before: str, after: str) -> Literal["plain", "quoted", "carried"]:
    """Return how a number stands between the characters `before` and `after`."""
    if form == "quoted":
        return "carried" if before.isalnum() or before == "_" else "plain"
    is_apart = (not before or before in _BEFORE) and (not after or after in _AFTER)
    return "plain" if is_apart else "quoted"


def _check_again(script: Script[Reference]) -> None:
    """Raise ExpressionError where a reference, once it is written out, is not read as the quoted text it must be."""
    text = bytearray()
    spans: list[tuple[int, int]] = []
    for part in script.parts:
        if isinstance(part, Reference):
            reference = _reference(part.name, part.standing).encode()
            at = len(text) + (part.standing.form == "bare")
            spans.append((at, at + len(f"${{{part.name}}}")))
            text += reference
        else:
            text += part.encode(errors="replace") if isinstance(part, str) else _RAW.encode()
    root = parse(bytes(text))
    for start, end in spans:
        node = node_at(root, start, end)
        around = node.parent.type if node.parent is not None else ""
        is_read = node.type == "expansion" and around in {"string", "heredoc_body"}
        # Behind a tab the parser takes a reference in a here-document for plain text, which no shell does.
        if root.has_error or not (is_read or node.type in {"heredoc_body", "heredoc_content"}):
            raise ExpressionError("the script is ambiguous around an expression; assign it to a variable first")


def _reference(name: str, standing: Standing) -> str:
    return f'"${{{name}}}"' if standing.form == "bare" else f"${{{name}}}"


def _is_escaped(script: bytes, start: int) -> bool:
    """Say whether an odd number of backslashes stands before `start`."""
    before = script[:start]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _error_line(root: Node) -> int:
    """Return the line, from 1, of the first part that could not be parsed."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == "ERROR" or node.is_missing:
            return int(node.start_point[0]) + 1
        pending.extend(child for child in reversed(node.children) if child.has_error or child.is_missing)
    return 1
