"""What an expression names, found without evaluating it, and its text as the CEL library gets it.

Every path from a root (`steps.load.outputs.rows`) is taken out of the text and replaced by a variable of its own, so
that only the values named are handed over, a missing key is reported by its whole path, and `default(PATH, y)` and
`has(PATH)` work for every key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from windlass.errors import ExpressionError
from windlass.model.expressions.engine import OWN_FUNCTIONS
from windlass.model.expressions.paths import ROOTS, STEP_FIELDS, Path
from windlass.model.expressions.tokens import KEYWORDS, Token, tokens

#: Macros that bind a variable for each item.
LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_FUNCTIONS: Final = frozenset(
    {"size", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "type", "dyn"}
)  # fmt: skip
_METHODS: Final = frozenset(
    {
        *("contains", "startsWith", "endsWith", "matches", "size"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    }
)


@dataclass(frozen=True, slots=True)
class Use:
    """A path of an expression and whether it may be missing there."""

    path: Path
    optional: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """A macro that evaluates something for each item of a list or each key of an object."""

    #: `map`, `filter`, `all`, `exists` or `exists_one`.
    kind: str
    #: How many names and literals it evaluates for each item.
    operands: int
    #: Whether that names anything besides the item itself.
    reaches_out: bool


@dataclass(frozen=True, slots=True)
class Analysis:
    """An expression taken apart."""

    #: The text for the library: `windlass_0` stands for the value of `paths[0]`, `windlass_has_0` for its being there.
    cel: str
    paths: tuple[Path, ...]
    #: The same paths with how they are used, in order of appearance.
    uses: tuple[Use, ...]
    #: True where the whole expression is one path.
    is_path: bool
    loops: tuple[Loop, ...]
    #: How deep loops are nested.
    loop_depth: int
    #: Brackets within brackets.
    nesting: int
    #: How many `+` there are.
    additions: int
    #: How many names and literals there are: what can multiply the size of a value.
    operands: int


def analyse(text: str) -> Analysis:
    """Take `text` apart; raises ExpressionError at names that mean nothing."""
    return _Reader(text).read()


def variable(index: int) -> str:
    """Return the name of the CEL variable for the path at `index`."""
    return f"windlass_{index}"


def presence(index: int) -> str:
    """Return the name of the CEL variable that says whether the path at `index` leads anywhere."""
    return f"windlass_has_{index}"


_OURS: Final = re.compile(r"windlass_(?:has_)?([0-9]+|size|matches)")


def with_paths(message: str, analysis: Analysis) -> str:
    """Return a message about the library's text in the words of the expression as it was written."""
    return _OURS.sub(lambda match: str(analysis.paths[int(match[1])]) if match[1].isdigit() else match[1], message)


@dataclass(slots=True)
class _Open:
    """An open bracket, with what has to happen at its end."""

    mark: str
    #: Names bound within it.
    bound: str | None = None
    #: The loop that it is the bracket of, with what it evaluates so far.
    loop: str | None = None
    operands: int = 0
    reaches_out: bool = False
    #: Put in place of the bracket's end.
    ending: str | None = None


class _Reader:
    """One pass over the tokens of an expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._out: list[str] = []
        self._open: list[_Open] = []
        self._paths: list[Path] = []
        self._uses: list[Use] = []
        self._loops: list[Loop] = []
        self._loop_depth = 0
        self._nesting = 0
        self._operands = 0

    def read(self) -> Analysis:
        """Read to the end."""
        if not self._tokens:
            raise ExpressionError("it is empty")
        while self._at < len(self._tokens):
            self._step()
        is_path = len(self._uses) == 1 and not self._uses[0].optional and len(self._out) == 1
        return Analysis(
            cel=" ".join(self._out),
            paths=tuple(self._paths),
            uses=tuple(self._uses),
            is_path=is_path,
            loops=tuple(self._loops),
            loop_depth=self._loop_depth,
            nesting=self._nesting,
            additions=sum(token.text == "+" for token in self._tokens),
            operands=self._operands,
        )

    def _step(self) -> None:
        """Read one token, or the path or call that begins there."""
        token = self._tokens[self._at]
        if token.kind == "name":
            self._name(token)
            return
        if token.kind in {"string", "number"}:
            self._operand(None)
        self._at += 1
        if token.text in {"(", "[", "{"} and token.kind == "mark":
            self._push(_Open(token.text))
        elif token.text in {")", "]", "}"} and token.kind == "mark" and self._open:
            closed = self._open.pop()
            if closed.loop is not None:
                self._loops.append(Loop(closed.loop, closed.operands, closed.reaches_out))
            if closed.ending is not None:
                self._out.append(closed.ending)
                return
        self._out.append(token.text)

    def _push(self, opened: _Open) -> None:
        self._open.append(opened)
        self._nesting = max(self._nesting, len(self._open))
        self._loop_depth = max(self._loop_depth, sum(one.loop is not None for one in self._open))

    def _operand(self, name: str | None) -> None:
        """Count a name or a literal for all loops around it."""
        self._operands += 1
        is_own = name is None
        for opened in reversed(self._open):
            opened.operands += 1
            is_own = is_own or name == opened.bound
            opened.reaches_out = opened.reaches_out or not is_own

    def _peek(self, ahead: int = 0) -> str:
        """Return the text of a coming token, empty at the end; string literals are no marks."""
        at = self._at + ahead
        if at >= len(self._tokens) or self._tokens[at].kind == "string":
            return ""
        return self._tokens[at].text

    def _name(self, token: Token) -> None:
        """Read a name: a keyword, a field, a call, a bound variable or a path."""
        name = token.text
        follows_dot = self._at > 0 and self._tokens[self._at - 1].text == "."
        is_call = self._peek(1) == "("
        if follows_dot:
            self._method(name) if is_call else self._copy(name)
        elif name in KEYWORDS:
            self._copy(name)
        elif is_call:
            self._function(name)
        elif any(name == opened.bound for opened in self._open):
            self._operand(name)
            self._copy(name)
        elif name in ROOTS:
            self._operand(name)
            self._out.append(variable(self._use(self._path(), optional=False)))
        elif self._at > 1 and self._tokens[self._at - 1].text == "-" and self._out[-2].startswith("windlass_"):
            near = self._uses[-1].path.keys
            whole = f'{Path(near[:-1])}["{near[-1]}-{name}"]'
            raise ExpressionError(f'unknown name "{name}"; a key with a dash is written {whole}')
        else:
            raise ExpressionError(f'unknown name "{name}"{did_you_mean(name, ROOTS)}')

    def _copy(self, text: str) -> None:
        self._out.append(text)
        self._at += 1

    def _method(self, name: str) -> None:
        """Read `.name(`."""
        if name in LOOPS:
            self._loop(name)
        elif name in OWN_FUNCTIONS and name in _METHODS:
            self._copy(OWN_FUNCTIONS[name])
        elif name in _METHODS:
            self._copy(name)
        else:
            raise ExpressionError(f'unknown function "{name}"{did_you_mean(name, _METHODS | LOOPS)}')

    def _function(self, name: str) -> None:
        """Read `name(`."""
        if name in {"has", "default"}:
            self._optional(name)
        elif name == "raw":
            raise ExpressionError("raw(...) must be the whole expression")
        elif name in OWN_FUNCTIONS:
            self._copy(OWN_FUNCTIONS[name])
        elif name in _FUNCTIONS:
            self._copy(name)
        else:
            raise ExpressionError(f'unknown function "{name}"{did_you_mean(name, _FUNCTIONS | {"has", "default"})}')

    def _loop(self, name: str) -> None:
        """Read `.map(x,` and bind `x` up to the closing bracket."""
        bound = self._peek(2)
        if self._peek(3) != "," or self._tokens[self._at + 2].kind != "name":
            raise ExpressionError(f"{name}() begins with the name of a variable: list.{name}(x, ...)")
        if bound in ROOTS or bound in KEYWORDS or bound.startswith(("windlass", "_")):
            raise ExpressionError(f'{name}() cannot call its variable "{bound}": choose another name')
        self._out.extend((name, "(", bound, ","))
        self._push(_Open("(", bound=bound, loop=name))
        self._at += 4

    def _optional(self, name: str) -> None:
        """Read `has(PATH)` or the `default(PATH,` of `default(PATH, y)`."""
        self._at += 2
        ends_with = ")" if name == "has" else ","
        shape = "has(PATH)" if name == "has" else "default(PATH, value)"
        if self._peek() not in ROOTS:
            raise ExpressionError(f"{shape} takes a path from {', '.join(ROOTS)}, not {self._peek() or 'a literal'}")
        index = self._use(self._path(), optional=True)
        if self._peek() != ends_with:
            raise ExpressionError(f'{shape}: a path is a root followed by .name or ["name"] only')
        self._at += 1
        self._operand(name)
        if name == "has":
            self._out.append(presence(index))
            return
        self._out.extend(("(", presence(index), "?", variable(index), ":", "("))
        self._push(_Open("(", ending="))"))

    def _path(self) -> Path:
        """Read a root and what follows it; a name that is called ends it."""
        keys = [self._tokens[self._at].text]
        self._at += 1
        while True:
            if self._peek() == "." and self._at + 1 < len(self._tokens) and self._peek(2) != "(":
                token = self._tokens[self._at + 1]
                if token.kind != "name":
                    raise ExpressionError(f"{Path(tuple(keys))}. is not followed by a name")
                keys.append(token.text)
                self._at += 2
            elif self._peek() == "[" and self._peek(2) == "]" and (key := self._tokens[self._at + 1].plain) is not None:
                keys.append(key)
                self._at += 3
            else:
                return Path(tuple(keys))

    def _use(self, path: Path, *, optional: bool) -> int:
        """Note a path and return its index."""
        if path.root == "steps":
            _check_step_path(path)
        self._uses.append(Use(path, optional))
        if path not in self._paths:
            self._paths.append(path)
        return self._paths.index(path)


def did_you_mean(name: str, known: object) -> str:
    """Return `; did you mean "x"?` where one of `known` is close to `name`, else nothing."""
    close = get_close_matches(name, [str(one) for one in known], n=1)  # type: ignore[attr-defined]
    return f'; did you mean "{close[0]}"?' if close else ""


def _check_step_path(path: Path) -> None:
    """Raise ExpressionError where a path under `steps` names no step or an unknown field."""
    if len(path.keys) == 1:
        raise ExpressionError('steps must be followed by the name of a step: steps.load or steps["load-eu"]')
    for field in path.keys[2:3]:
        if field in STEP_FIELDS:
            continue
        raise ExpressionError(
            f'{Path(path.keys[:2])} has no "{field}", only {", ".join(STEP_FIELDS)}{did_you_mean(field, STEP_FIELDS)}'
        )
