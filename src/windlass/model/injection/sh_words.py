"""Words of a shell script's tree: what of their text is known before the script runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from windlass.model.injection.sh_tree import text_of
from windlass.model.injection.words import Word

if TYPE_CHECKING:
    from tree_sitter import Node

#: Stands for an expression while its script is parsed: `WINDLASS_EXPR_1` is also the name of the variable.
PLACEHOLDER: Final = re.compile(r"WINDLASS_EXPR_[0-9]+")
_GLOB: Final = re.compile(r"(?<!\\)[*?\[{]")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPE_IN_QUOTES: Final = re.compile(r'\\([$`"\\\n])')
#: Parts of `[ ... ]` that are no words themselves.
_EXPRESSIONS: Final = frozenset(
    {"test_command", "binary_expression", "unary_expression", "parenthesized_expression", "ternary_expression"}
)


def command_words(command: Node, mark: re.Pattern[str] = PLACEHOLDER) -> list[tuple[Word, Node]]:
    """Return the words of a simple command with their nodes: its name first, redirections and assignments left out.

    A word in which `mark` is found counts as one with an expression.
    """
    found: list[tuple[Word, Node]] = []
    for index, child in enumerate(command.children):
        field = command.field_name_for_child(index)
        if field == "name":
            found.append((_word(child.children[0] if child.children else child, mark), child))
        elif field == "argument":
            found.append((_word(child, mark), child))
    return found


def test_words(command: Node) -> list[tuple[Word, Node]]:
    """Return the words of `[ ... ]` with their nodes, brackets included."""
    return [(_word(node), node) for node in _leaves(command)]


def declaration_words(command: Node) -> list[tuple[Word, Node]]:
    """Return the words of `export A=1 B` with their nodes: its name first."""
    return [(_word(child), child) for child in command.children]


def _leaves(node: Node) -> Iterator[Node]:
    """Go over the words of a test, in order."""
    pending = list(reversed(node.children))
    while pending:
        child = pending.pop()
        if child.type in _EXPRESSIONS:
            pending.extend(reversed(child.children))
        else:
            yield child


def _word(node: Node, mark: re.Pattern[str] = PLACEHOLDER) -> Word:
    """Return a node as a word."""
    known: list[str] = []
    for text in _texts(node):
        if text is None:
            return Word(None, "".join(known), mark.search(text_of(node)) is not None)
        known.append(text)
    whole = "".join(known)
    return Word(whole, whole)


def _texts(node: Node) -> Iterator[str | None]:
    """Go over the pieces of a word: known text, and None for what is known only when the script runs."""
    match node.type:
        case "concatenation":
            for child in node.children:
                yield from _texts(child)
        case "raw_string":
            yield text_of(node)[1:-1]
        case "string":
            yield from _quoted(node)
        case "word" | "number" | "variable_name" | "test_operator" | "extglob_pattern":
            text = text_of(node)
            glob = _GLOB.search(text)
            yield from _known(text[: glob.start()] if glob else text, _ESCAPE)
            if glob and text not in {"[", "{"}:
                yield None
            elif glob:
                yield text
        case _ if not node.children:
            yield text_of(node)
        case _:
            yield None


def _quoted(node: Node) -> Iterator[str | None]:
    """Go over the pieces of a double-quoted text."""
    if all(child.type in {'"', "string_content"} for child in node.children):
        yield from _known(text_of(node)[1:-1], _ESCAPE_IN_QUOTES)
        return
    first = next((child for child in node.children if child.type == "string_content"), None)
    if first is not None and first.start_byte == node.start_byte + 1:
        yield from _known(text_of(first), _ESCAPE_IN_QUOTES)
    yield None


def _known(text: str, escape: re.Pattern[str]) -> Iterator[str | None]:
    """Go over a text that can hold placeholders; `escape` finds what a backslash stands before."""
    at = 0
    for match in PLACEHOLDER.finditer(text):
        yield _plain(text[at : match.start()], escape)
        yield None
        at = match.end()
    yield _plain(text[at:], escape)


def _plain(text: str, escape: re.Pattern[str]) -> str:
    return escape.sub(lambda match: "" if match[1] == "\n" else match[1], text)
