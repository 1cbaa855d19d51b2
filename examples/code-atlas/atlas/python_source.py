"""What one Python file is made of: its lines by kind, its functions, what it imports."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field

#: A way through a function more than there would be without it.
_FORKS = (
    *(ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler),
    *(ast.comprehension, ast.match_case, ast.Assert),
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Tokens that make no line a line of code.
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


@dataclass(slots=True)
class Function:
    """A function or method."""

    name: str
    line: int
    lines: int
    #: Ways through it: one, and one more for each fork.
    paths: int
    public: bool
    documented: bool


@dataclass(slots=True)
class Source:
    """A Python file."""

    path: str
    #: Whether it tests other files.
    test: bool = False
    code: int = 0
    docs: int = 0
    comments: int = 0
    blank: int = 0
    classes: int = 0
    functions: list[Function] = field(default_factory=list)
    #: Dotted names, as far as they go; what only type checkers import is left out.
    imports: list[str] = field(default_factory=list)


def read_source(path: str, text: str) -> Source:
    """Return what the file at `path` is made of. Raises SyntaxError on text that is no Python of this version."""
    tree = ast.parse(text, filename=path)
    source = Source(path, is_test(path))
    _count_lines(source, text, _doc_lines(tree))
    source.classes = sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree))
    source.functions = list(_functions(tree, "", public=not source.test))
    source.imports = list(_imports(tree, module_name(path).split("."), is_package=path.endswith("__init__.py")))
    return source


def module_name(path: str) -> str:
    """Return the dotted name by which the file at `path` is imported: a leading `src` does not belong to it."""
    pieces = path.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(pieces[1:] if pieces[0] == "src" and len(pieces) > 1 else pieces)


def is_test(path: str) -> bool:
    """Say whether the file at `path` tests other files, by where it lies and what it is called."""
    *folders, name = path.split("/")
    return bool({"test", "tests"}.intersection(folders)) or name.startswith("test_") or name == "conftest.py"


def _doc_lines(tree: ast.AST) -> set[int]:
    """Return the lines of docstrings and of other texts that stand for themselves."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def _count_lines(source: Source, text: str, docs: set[int]) -> None:
    code: set[int] = set()
    comments: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in _SILENT and token.type != tokenize.ENDMARKER:
            code.update(range(token.start[0], token.end[0] + 1))
    code -= docs
    source.code, source.docs, source.comments = len(code), len(docs), len(comments - code - docs)
    source.blank = len(text.splitlines()) - source.code - source.docs - source.comments


def _functions(node: ast.AST, prefix: str, *, public: bool) -> Iterator[Function]:
    """Yield the functions below `node` in their order; what lies in a function is public nowhere."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            shown = public and (not child.name.startswith("_") or child.name.endswith("__"))
            yield Function(
                name=prefix + child.name,
                line=child.lineno,
                lines=(child.end_lineno or child.lineno) - child.lineno + 1,
                paths=1 + sum(_forks(inner) for inner in ast.walk(child)),
                public=shown,
                documented=ast.get_docstring(child) is not None,
            )
            yield from _functions(child, f"{prefix}{child.name}.", public=False)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.", public=public and not child.name.startswith("_"))
        else:
            yield from _functions(child, prefix, public=public)


def _forks(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    return isinstance(node, _FORKS)


def _imports(node: ast.AST, module: list[str], *, is_package: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            # One dot is the package that the module lies in.
            package = module[: len(module) - child.level + is_package] if child.level else []
            base = ".".join([*package, *([child.module] if child.module else [])])
            yield from (f"{base}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(other, module, is_package=is_package)
        else:
            yield from _imports(child, module, is_package=is_package)
