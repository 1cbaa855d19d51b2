"""The CEL library, loaded when the first expression needs it, and values on their way in and out."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from importlib.machinery import PathFinder
from typing import Any, Final, Protocol, cast

from windlass.errors import ExpressionError
from windlass.model.expressions.paths import kind_of
from windlass.model.expressions.regexes import states

_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
#: Functions that we give the library in place of its own, with their names there: `size`, since it counts the bytes of
#: a string where CEL counts characters, `matches`, since it can take very long, and `duration`, since it reads the
#: beginning of a text and leaves out the rest.
OWN_FUNCTIONS: Final[Mapping[str, str]] = {
    "size": "windlass_size",
    "matches": "windlass_matches",
    "duration": "windlass_duration",
}
#: What all regular expressions of one evaluation may cost; about half a second of a slow machine.
MAX_REGEX_WORK: Final = 500_000_000
_BASE_WORK: Final = 100_000
_COMPILE_WORK: Final = 3_000
_UNEXPECTED: Final = re.compile(r"(?:mismatched|extraneous) input '(.*)'\Z")
_DURATION: Final = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:h|ms|m|s|us|ns))+)")
#: In characters; nobody writes more.
_LONGEST_DURATION: Final = 100
#: Beyond it the library gives the longest duration that it has.
_LONGEST: Final = timedelta(days=106_751)
_UNKNOWN: Final = re.compile(r"Undefined variable or function: '(.*)'\Z")
#: Deepest nesting of lists and objects that is handed to the library, which walks them recursively.
_DEPTH: Final = 128


class Program(Protocol):
    """A compiled expression of the library."""

    def execute(self, context: Any = None) -> Any:
        """Evaluate on a `Context` of the library."""
        ...


class _Library(Protocol):
    """What we use of the library."""

    compile: Callable[[str], Program]
    Context: Callable[[dict[str, Any], dict[str, Callable[..., Any]]], Any]


@cache
def _library() -> _Library:
    """Return the library's extension module.

    Its package imports a command line of its own (0.3 s) beside it, so the extension is loaded alone (0.01 s).
    """
    name = "cel.cel"
    package = importlib.util.find_spec("cel")
    spec = PathFinder.find_spec(name, package.submodule_search_locations) if package else None
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("common-expression-language is not installed", name=name)
    module = sys.modules.get(name) or importlib.util.module_from_spec(spec)
    if name not in sys.modules:
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return cast("_Library", module)


def compile_cel(text: str) -> Program:
    """Return the compiled program; raises ExpressionError with the first complaint of the library."""
    try:
        return _library().compile(text)
    except ValueError as error:
        raise ExpressionError(_complaint(str(error))) from None


def run_program(program: Program, variables: Mapping[str, Any]) -> Any:
    """Return the JSON value that `program` gives on `variables`; raises ExpressionError where it gives none.

    KeyError is passed on: only the caller knows what the key was looked up in.
    """
    own = _OwnFunctions()
    functions: dict[str, Callable[..., Any]] = {text: getattr(own, name) for name, text in OWN_FUNCTIONS.items()}
    context = _library().Context(dict(variables), functions)
    try:
        value = program.execute(context)
    except KeyError:
        raise
    except RecursionError:
        raise ExpressionError("it is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - the library reports faults of an expression by many built-in types
        raise ExpressionError(_reason(error)) from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # how the binding reports a fault of the library itself
            raise ExpressionError("the expression library failed on it") from None
        raise
    if own.complaint is not None:
        raise ExpressionError(own.complaint)
    return as_json(value)


class _OwnFunctions:
    """Our functions during one evaluation.

    What they refuse is kept and raised at the end: the library prints what a function raises.
    """

    def __init__(self) -> None:
        self.complaint: str | None = None
        self._work = 0

    def size(self, value: Any) -> int:
        """Return the number of characters, items, keys or bytes."""
        if isinstance(value, str | bytes | list | dict):
            return len(value)
        self.complaint = f"size() takes a string, a list or an object, not {kind_of(value)}"
        return 0

    def matches(self, text: Any, pattern: Any) -> bool:
        """Say whether a part of `text` fits a regular expression, as long as that is not too much work."""
        if not isinstance(text, str) or not isinstance(pattern, str):
            self.complaint = "matches() takes a string and a regular expression"
            return False
        self._work += _BASE_WORK + (len(text) + _COMPILE_WORK) * states(pattern)
        if self._work > MAX_REGEX_WORK:
            self.complaint = "its regular expressions are too much work on texts of this length; do that in a step"
            return False
        try:
            return bool(_matcher().execute({"text": text, "pattern": pattern}))
        except Exception as error:  # noqa: BLE001 - as above
            self.complaint = _reason(error)
            return False

    def duration(self, value: Any) -> timedelta:
        """Return the duration that a whole text stands for; what is refused is not quoted, for it may be a secret."""
        if isinstance(value, timedelta):
            return value
        found = timedelta()
        if not isinstance(value, str):
            self.complaint = f"duration() takes a string such as 1h30m, not {kind_of(value)}"
        elif len(value) > _LONGEST_DURATION or not _DURATION.fullmatch(value):
            self.complaint = "duration(): it is no duration such as 1h30m"
        else:
            found = _durations().execute({"text": value})
            if abs(found) >= _LONGEST:
                self.complaint = "duration(): it is longer than 292 years"
        return found


@cache
def _matcher() -> Program:
    """Return the library's own `matches`."""
    return _library().compile("text.matches(pattern)")


@cache
def _durations() -> Program:
    """Return the library's own `duration`."""
    return _library().compile("duration(text)")


def for_cel(value: Any, depth: int = 0) -> Any:
    """Return `value` as the library may have it; raises ExpressionError where it would change or break it."""
    match value:
        case None | bool():
            return value
        case int():
            if not _LEAST <= value <= _MOST:
                raise ExpressionError(f"the number {value:,} needs more than 64 bits")
            return value
        case str():
            if not value.isascii():
                _check_text(value)
            return value
        case float():
            return value
        case _ if depth >= _DEPTH:
            raise ExpressionError(f"a value is nested deeper than {_DEPTH}")
        case Mapping():
            return {for_cel(key): for_cel(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [for_cel(item, depth + 1) for item in value]
    raise ExpressionError(f"{kind_of(value)} is no JSON value")


def as_json(value: Any) -> Any:
    """Return what the library gave if it is a JSON value; raises ExpressionError otherwise."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ExpressionError(f"it gives {value}, which is no JSON number")
            return value
        case list():
            return [as_json(item) for item in value]
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise ExpressionError("it gives an object with keys that are no strings")
            return {key: as_json(value[key]) for key in sorted(value)}
    raise ExpressionError(
        f"it gives a {_CEL_NAMES.get(type(value).__name__, type(value).__name__)}; write string(...) around it"
    )


_CEL_NAMES: Final = {
    "bytes": "byte string",
    "datetime": "timestamp",
    "timedelta": "duration",
    "OptionalValue": "optional",
}


def _check_text(value: str) -> None:
    """Raise ExpressionError where `value` is no text that UTF-8 can carry."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ExpressionError("a string holds half a character (a lone surrogate)") from None


def _complaint(text: str) -> str:
    """Return the first complaint out of the library's report on a text that it cannot parse."""
    if "Recursion limit" in text:
        return "it is nested too deeply"
    lines = [line for line in text.partition("ERROR: <input>:")[2].splitlines() if line]
    message = lines[0].partition(": ")[2].removeprefix("Syntax error: ").partition(" expecting ")[0] if lines else ""
    unexpected = _UNEXPECTED.match(message)
    if unexpected is None:
        return message or "it is no CEL expression"
    return "it ends too early" if unexpected[1] == "<EOF>" else f"unexpected {unexpected[1]}"


def _reason(error: Exception) -> str:
    """Return one sentence of why an evaluation failed."""
    first = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    unknown = _UNKNOWN.match(first)
    match error:
        case ZeroDivisionError():
            return "division by zero"
        case OverflowError():
            return "a number needs more than 64 bits"
        case TypeError():
            return f"{first[:1].lower()}{first[1:]}; convert with int(), double() or string()"
        case _ if unknown is not None:
            return f"{unknown[1]} is not there for values of these types"
    return first
