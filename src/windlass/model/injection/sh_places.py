"""Where in a shell script a placeholder stands, and whether a value may be referred to there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from windlass.errors import ExpressionError
from windlass.model.injection.builtins import judge_in_shell
from windlass.model.injection.commands import own_language, reads_input_as_code
from windlass.model.injection.sh_tree import ancestors, descendants, text_of
from windlass.model.injection.sh_uses import HIDDEN
from windlass.model.injection.sh_words import command_words, declaration_words, test_words
from windlass.model.injection.variables import may_not_be_set
from windlass.model.injection.words import NUMBER, SCRIPT, Verdicts, Word

if TYPE_CHECKING:
    from tree_sitter import Node

#: How a reference is written: with quotes of its own, or within double quotes or a here-document that are there.
Form = Literal["bare", "quoted"]

_ARITHMETIC: Final = "is arithmetic and runs the command in a value such as a[$(command)]"
_WAY_OUT: Final = "assign it to a variable first: VALUE=${{ ... }}"
_COMPUTE: Final = "compute it in the expression, as in ${{ parameters.n + 1 }}"
_IN_ARITHMETIC: Final = f"stands in what {_ARITHMETIC}; {_COMPUTE}"


class Refused(ExpressionError):
    """A value may not stand at this place; the text says why and what to do."""


@dataclass(slots=True)
class Standing:
    """A place where a value may stand."""

    form: Form
    #: Where in the script the placeholder begins, in bytes.
    start: int
    #: Only a whole number may stand here.
    number_only: bool = False
    #: The variable that the value is assigned to.
    assigned: str | None = None
    #: A language in which the value is not safe, although no shell reads it.
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A command with what its rules say."""

    words: list[Word]
    #: Where each word begins and ends, in bytes.
    spans: list[tuple[int, int]]
    verdicts: Verdicts

    @staticmethod
    def of(words: list[tuple[Word, Node]]) -> Judged:
        """Judge a command by its words."""
        plain = [word for word, _ in words]
        return Judged(plain, [(node.start_byte, node.end_byte) for _, node in words], judge_in_shell(plain))


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for a whole script."""

    #: Name of the shell that reads it: `sh`, `bash`, ...
    shell: str
    #: Variables that the script declares to be more than a text; empty text: any.
    typed: frozenset[str]
    #: Variables that the script counts with.
    counted: frozenset[str]
    #: What the rules of a command say of its words, and who reads its input as code: by the id of its node.
    verdicts: dict[int, Judged] = field(default_factory=dict)
    readers: dict[int, str | None] = field(default_factory=dict)


def stand(leaf: Node, start: int, setting: Setting) -> Standing:
    """Return how a value may stand at `leaf`, the smallest node around its placeholder at `start`; raises Refused."""
    standing = Standing(_form(leaf), start)
    below = leaf
    for node in ancestors(leaf):
        if node is leaf and node.type != "heredoc_body":
            continue
        rule = _RULES.get(node.type)
        if rule is None:
            raise Refused(_OTHERWISE.get(node.type, f"stands in a part of the script that has no rule ({node.type})"))
        rule(node, below, standing, setting)
        below = node
    return standing


def _form(leaf: Node) -> Form:
    """Return the form of a reference at `leaf`."""
    match leaf.type:
        case "word":
            return "bare"
        case "extglob_pattern" if _is_word_of_test(leaf):
            return "bare"
        case "string_content" | "string" | "heredoc_body" | "heredoc_content":
            return "quoted"
        case "raw_string":
            raise Refused("stands in single quotes, in which nothing is replaced; write double quotes")
        case "ansi_c_string":
            raise Refused("stands in $'...', in which nothing is replaced; write double quotes")
        case "comment":
            raise Refused("stands in a comment; remove it, or write $${{ for a literal ${{")
        case "variable_name":
            above = leaf.parent.type if leaf.parent is not None else ""
            raise Refused(_OTHERWISE.get(above, f"stands where the name of a variable is; {_WAY_OUT}"))
    raise Refused(_OTHERWISE.get(leaf.type, f"stands in a part of the script that has no rule ({leaf.type})"))


def _is_word_of_test(leaf: Node) -> bool:
    """Say whether a pattern is in truth a plain word: `[ a != b ]`, which the parser reads as `[[ a != b ]]`."""
    above = next(node for node in ancestors(leaf) if node.type not in _TEST_PARTS and node is not leaf)
    is_test = above.type == "test_command" and not text_of(above).startswith(("[[", "(("))
    return is_test and not set(text_of(leaf)) & set("'\"\\$`()|<>&; \t\n")


_TEST_PARTS: Final = frozenset({"binary_expression", "unary_expression", "parenthesized_expression"})
_OTHERWISE: Final[Mapping[str, str]] = {
    "arithmetic_expansion": f"stands in $((...)), which {_ARITHMETIC}; {_COMPUTE}",
    **dict.fromkeys(
        ("binary_expression", "unary_expression", "postfix_expression", "ternary_expression"), _IN_ARITHMETIC
    ),
    "parenthesized_expression": _IN_ARITHMETIC,
    "compound_statement": f"stands in ((...)), which {_ARITHMETIC}; {_COMPUTE}",
    "c_style_for_statement": f"stands in for ((...)), which {_ARITHMETIC}; {_COMPUTE}",
    "subscript": f"stands in the index of an array, which {_ARITHMETIC}; {_WAY_OUT}",
    "expansion": f"stands in ${{...}}, whose operators read it as a pattern or as arithmetic; {_WAY_OUT}",
    "simple_expansion": f"stands right behind a $; {_WAY_OUT}",
    "translated_string": 'stands in $"...", which is translated before it is read; write double quotes without the $',
    "brace_expression": "stands in {..}, which is expanded before values are; use seq",
    "extglob_pattern": "stands in a pattern; compare with [ ... = ... ]",
    "regex": "stands in a pattern; compare with [ ... = ... ]",
    "unset_command": "is the name of a variable that unset reads, which runs the command in a[$(command)]",
    "coproc": "stands in a coprocess",
    "ERROR": "stands where the script cannot be parsed",
}

_Rule = Callable[["Node", "Node", Standing, Setting], None]


def _free(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    """Allow whatever stands here."""
    del node, below, standing, setting


def _field(node: Node, below: Node) -> str | None:
    """Return the name of the field of `node` that `below` is."""
    for index, child in enumerate(node.children):
        if child.id == below.id:
            return node.field_name_for_child(index)
    return None


def _concatenation(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del standing, setting
    before = "".join(
        text_of(child) for child in node.children if child.end_byte <= below.start_byte and child.type == "word"
    )
    after = "".join(
        text_of(child) for child in node.children if child.start_byte >= below.end_byte and child.type == "word"
    )
    if "{" in before and "}" in after:
        raise Refused(_OTHERWISE["brace_expression"])


def _string(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del below, standing, setting
    before = node.prev_sibling
    if before is not None and before.type == "$" and before.end_byte == node.start_byte:
        raise Refused(_OTHERWISE["translated_string"])


def _compound(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del below, standing, setting
    if text_of(node).startswith("(("):
        raise Refused(f"stands in ((...)), which {_ARITHMETIC}; {_COMPUTE}")


def _substitution(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del below, standing, setting
    if text_of(node).startswith("`"):
        raise Refused("stands in backticks, in which quotes change their meaning; write $(...)")
    if text_of(node).startswith("$(("):  # arithmetic that the parser took for a command in a subshell
        raise Refused(_OTHERWISE["arithmetic_expansion"])


def _command(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    if below.type == "herestring_redirect":
        _input(node, setting)
    elif node.id not in setting.verdicts:
        setting.verdicts[node.id] = Judged.of(command_words(node))
    if below.type not in {"herestring_redirect", "variable_assignment", "file_redirect"}:
        _apply(setting.verdicts[node.id], standing)


def _apply(judged: Judged, standing: Standing) -> None:
    """Hold the word around the placeholder to the rules of its command."""
    index = next((at for at, (start, end) in enumerate(judged.spans) if start <= standing.start < end), None)
    verdict = judged.verdicts.get(-1 if index is None else index)
    if index is None:
        raise Refused("stands in a part of a command that has no rule; assign it to a variable first")
    if verdict is None:
        standing.language = standing.language or own_language(judged.words).get(index)
    elif verdict is NUMBER:
        standing.number_only = True
    elif verdict is SCRIPT:
        raise Refused("stands in the code of another shell; pass it as a further argument: sh -c '... \"$1\"' sh VALUE")
    else:
        raise Refused(verdict.reason)


def _test(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del below
    if not text_of(node).startswith("[") or text_of(node).startswith("[["):
        raise Refused("stands in [[ ]] or ((...)), which reads it as a pattern or as arithmetic; write [ ... ]")
    if node.id not in setting.verdicts:
        setting.verdicts[node.id] = Judged.of(test_words(node))
    _apply(setting.verdicts[node.id], standing)


def _test_part(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    """Allow the parts of `[ ... ]`, which `_test` looks at as a whole."""
    del below, standing, setting
    for above in ancestors(node):
        if above.type not in _TEST_PARTS:
            if above.type == "test_command":
                return
            break
    raise Refused(_OTHERWISE[node.type])


def _assignment(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    if _field(node, below) != "value":
        raise Refused(f"stands where the name of a variable is; {_WAY_OUT}")
    target = node.children[0]
    name = text_of(target)
    if target.type != "variable_name":
        name = name.partition("[")[0]
    if any(child.type == "+=" for child in node.children) and setting.shell in {"sh", "dash", "ash", "posh", "yash"}:
        raise Refused("stands behind +=, which sh does not know; write NAME=$NAME${{ ... }}")
    if reason := may_not_be_set(name, in_zsh=setting.shell == "zsh"):
        raise Refused(f"is assigned to {reason}")
    if name in setting.typed or "" in setting.typed:
        raise Refused(f"is assigned to {name}, which the script declares to be more than a text; use another variable")
    standing.number_only = standing.number_only or name in setting.counted
    standing.assigned = name


def _array(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del node, standing, setting
    if text_of(below).startswith("["):
        raise Refused(f"stands in the index of an array, which {_ARITHMETIC}; {_WAY_OUT}")


def _declaration(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del standing, setting
    words = [word for word, _ in declaration_words(node)]
    name = words[0].text or ""
    if name not in {"export", "readonly", "local"} or any(
        (word.text or word.prefix).startswith("-") for word in words[1:]
    ):
        raise Refused(f"is an argument of {name} with options, which can read it as code; {_WAY_OUT}")
    if below.type != "variable_assignment":
        raise Refused(f"is the name of a variable that {name} reads; write {name} NAME=${{{{ ... }}}}")


def _redirect(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del standing, setting
    operators = {child.type for child in node.children} & {"<&", ">&", "<&-", ">&-"}
    if _field(node, below) != "destination" or operators:
        raise Refused("is the number of an open file; redirect to a file by its name")


def _heredoc_body(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del below, standing, setting
    redirect = node.parent
    start = next((child for child in redirect.children if child.type == "heredoc_start"), None) if redirect else None
    if redirect is None or start is None or set(text_of(start)) & set("'\"\\$`"):
        raise Refused("stands in a here-document whose end is quoted, in which nothing is replaced; write <<EOF")
    if found := HIDDEN.search(text_of(node)):
        raise Refused(f"stands in a here-document with {found.group()}, which may hide code; do that before it")


def _redirected(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    """Look at who gets the input that the value becomes, or the output of the command that it is an argument of."""
    del standing
    if below.type in {"heredoc_redirect", "herestring_redirect"} or text_of(below).startswith("<"):
        _input(node, setting)
        return
    for redirect in node.children:
        if redirect.type == "heredoc_redirect":  # cat <<EOF | sh: the parser puts the pipeline below the redirection
            for pipeline in descendants(redirect, "pipeline"):
                _input(pipeline, setting)


def _input(node: Node, setting: Setting) -> None:
    """Refuse a value that becomes the input of a program which reads its input as code."""
    if node.id not in setting.readers:
        readers = (
            reads_input_as_code([word for word, _ in command_words(command)])
            for command in descendants(node, "command")
        )
        setting.readers[node.id] = next((reader for reader in readers if reader is not None), None)
    if name := setting.readers[node.id]:
        raise Refused(f"becomes input that {name} reads as code; pass it by `env` or as an argument")


def _pipeline(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del standing
    for child in node.children:
        if child.is_named and child.start_byte >= below.end_byte:
            _input(child, setting)


def _case(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del standing, setting
    if node.type == "case_item" and _field(node, below) == "value":
        raise Refused("is a pattern of case; compare with [ ... = ... ]")


def _for(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    field = _field(node, below)
    if field == "variable" or (field == "value" and text_of(node).startswith("select")):
        raise Refused("stands where the name of a variable or a menu of select is; write it out")
    variable = node.child_by_field_name("variable")
    if field == "value" and variable is not None:
        standing.assigned = text_of(variable)
        standing.number_only = standing.number_only or standing.assigned in setting.counted


def _function(node: Node, below: Node, standing: Standing, setting: Setting) -> None:
    del standing, setting
    if _field(node, below) != "body":
        raise Refused("would be the name of a function")


_RULES: Final[Mapping[str, _Rule]] = {
    **dict.fromkeys(("program", "list", "do_group", "else_clause", "elif_clause", "if_statement"), _free),
    **dict.fromkeys(("while_statement", "negated_command", "process_substitution", "variable_assignments"), _free),
    **dict.fromkeys(("herestring_redirect", "heredoc_redirect", "command_name"), _free),
    **dict.fromkeys(("binary_expression", "unary_expression", "parenthesized_expression"), _test_part),
    "concatenation": _concatenation,
    "string": _string,
    "compound_statement": _compound,
    "subshell": _compound,
    "command_substitution": _substitution,
    "command": _command,
    "test_command": _test,
    "variable_assignment": _assignment,
    "array": _array,
    "declaration_command": _declaration,
    "file_redirect": _redirect,
    "heredoc_body": _heredoc_body,
    "redirected_statement": _redirected,
    "pipeline": _pipeline,
    "case_statement": _case,
    "case_item": _case,
    "for_statement": _for,
    "function_definition": _function,
}
