"""What a script does elsewhere with a variable to which a value is assigned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from windlass.model.injection.builtins import COMPARISONS, NUMBERS, judge_in_shell
from windlass.model.injection.sh_tree import text_of
from windlass.model.injection.sh_words import command_words, declaration_words
from windlass.model.injection.words import NUMBER, Word, names

if TYPE_CHECKING:
    from tree_sitter import Node

#: All nodes of a script by their kind.
Nodes = Mapping[str, "list[Node]"]

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPANDED: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_COMPARES: Final = re.compile(rf"\s(?:{'|'.join(COMPARISONS)})\s")
_DECLARES: Final = names("declare typeset local readonly export integer float nameref")
#: Options that make a variable more than a text: a number, another variable's name, an array.
_ATTRIBUTES: Final = frozenset("aAinEFZLRluTU")
#: What the parser does not see, or not rightly, in the text of a here-document.
HIDDEN: Final = re.compile(r"`|\$\(\(|\$\[|\$\{[ \t\n|]")


def typed_variables(nodes: Nodes) -> frozenset[str]:
    """Return the variables that a script gives an attribute, such as `declare -i n`; `""` where a name is not known."""
    found: set[str] = set()
    for command in nodes.get("declaration_command", ()):
        found.update(_typed_by([word for word, _ in declaration_words(command)]))
    for command in nodes.get("command", ()):
        words = [word for word, _ in command_words(command)]
        if words and words[0].text in _DECLARES:
            found.update(_typed_by(words))
    return frozenset(found)


def _typed_by(words: list[Word]) -> set[str]:
    """Return the variables that one declaration gives an attribute."""
    texts = [word.prefix for word in words]
    letters = {letter for text in texts[1:] if text.startswith(("-", "+")) for letter in text[1:]}
    if not letters & _ATTRIBUTES and texts[0] not in {"integer", "float", "nameref"}:
        return set()
    return {text.partition("=")[0] for text in texts[1:] if not text.startswith(("-", "+"))}


def handed_on(nodes: Nodes, variables: frozenset[str]) -> dict[str, str]:
    """Return those of `variables` that a script hands to something which reads them as code, with the sentence."""
    found: dict[str, str] = {}
    for command in nodes.get("command", ()) if variables else ():
        for variable in variables.intersection(_EXPANDED.findall(text_of(command))).difference(found):
            mark = re.compile(rf"\$(?:{variable}(?![A-Za-z0-9_])|\{{{variable}[^A-Za-z0-9_])")
            words = [word for word, _ in command_words(command, mark)]
            if words and words[0].has_hole:
                continue  # the script chooses its command by a variable, and knows it
            for verdict in judge_in_shell(words).values():
                if verdict is not NUMBER:
                    reason = verdict.reason or "stands in the code of another shell"
                    found[variable] = f"is assigned to {variable}, and ${variable} {reason}"
                    break
    return found


def counted_variables(nodes: Nodes) -> frozenset[str]:
    """Return the names that stand in arithmetic, in comparisons of numbers or in indexes anywhere in a script.

    A shell evaluates the text of such a variable, so that a value such as `a[$(command)]` runs the command. More names
    than needed do no harm: what is assigned to them must be a number.
    """
    return frozenset(name for text in _arithmetic(nodes) for name in _IDENTIFIER.findall(text))


def _arithmetic(nodes: Nodes) -> Iterator[str]:
    """Go over the texts of a script that are arithmetic."""
    for kind, parts in _COUNTING.items():
        for node in nodes.get(kind, ()):
            yield from parts(node)


def _whole(node: Node) -> Iterator[str]:
    yield text_of(node)


def _double(node: Node) -> Iterator[str]:
    """Take `((...))`, also where the parser saw a subshell or `$( (...) )` in it."""
    if text_of(node).startswith(("((", "$((")):
        yield text_of(node)


def _index(node: Node) -> Iterator[str]:
    yield from (text_of(child) for child in node.children[1:])


def _behind_colon(node: Node) -> Iterator[str]:
    """Take what stands behind the colon of `${A:N:M}`."""
    colon = next((at for at, child in enumerate(node.children) if child.type == ":"), len(node.children))
    yield from (text_of(child) for child in node.children[colon:])


def _loop(node: Node) -> Iterator[str]:
    yield from (text_of(child) for child in node.children if child.type != "do_group")


def _comparison(node: Node) -> Iterator[str]:
    if _COMPARES.search(text_of(node)):
        yield text_of(node)


def _document(node: Node) -> Iterator[str]:
    if HIDDEN.search(text_of(node)):
        yield text_of(node)


def _command(node: Node) -> Iterator[str]:
    words = command_words(node)
    name = words[0][0].text if words else None
    if name in NUMBERS or name in {"let", "repeat"} or (name == "test" and _COMPARES.search(text_of(node))):
        yield text_of(node)


_COUNTING: Final[Mapping[str, Callable[[Node], Iterator[str]]]] = {
    "arithmetic_expansion": _whole,
    "compound_statement": _double,
    "subshell": _double,
    "command_substitution": _double,
    "subscript": _index,
    "expansion": _behind_colon,
    "c_style_for_statement": _loop,
    "test_command": _comparison,
    "heredoc_body": _document,
    "command": _command,
}
