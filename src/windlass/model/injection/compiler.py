"""Turns a step's values, as written, into nodes that give them rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from windlass.errors import ExpressionError
from windlass.model.expressions.expression import Expression
from windlass.model.finding import Level
from windlass.model.steptype import Place
from windlass.model.template import OPENING, Hole, Piece, as_text, carried, split

Spot = tuple[str | int, ...]
T = TypeVar("T")

#: A text that begins so, and is nothing else, is resolved by the worker.
SCHEME: Final = "secret://"


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence about a place of a step."""

    path: Spot
    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What one rendering knows, and collects."""

    context: Mapping[str, Any]
    secrets: Mapping[str, str]
    #: Values that scripts refer to, by the name of their variable.
    variables: dict[str, str]


class Node(Protocol):
    """A value of a step, compiled."""

    def render(self, frame: Frame) -> Any:
        """Return the value; raises ExpressionError."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """A value without expressions: always the same object."""

    value: Any

    def render(self, frame: Frame) -> Any:  # noqa: ARG002 - the contract of a node
        """Return the value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret reference that stands alone."""

    reference: str

    def render(self, frame: Frame) -> str:
        """Return what it was resolved to."""
        try:
            return frame.secrets[self.reference]
        except KeyError:
            raise ExpressionError(f"{self.reference}: the secret was not resolved") from None


@dataclass(frozen=True, slots=True)
class Typed:
    """A text that is one expression: its value keeps its type."""

    hole: Hole

    def render(self, frame: Frame) -> Any:
        """Return the value."""
        return self.hole.expression.evaluate(frame.context)


@dataclass(frozen=True, slots=True)
class Text:
    """A text that nothing interprets, with expressions in it."""

    pieces: tuple[Piece, ...]

    def render(self, frame: Frame) -> str:
        """Return the text."""
        return "".join(piece if isinstance(piece, str) else self._value(piece, frame) for piece in self.pieces)

    def _value(self, hole: Hole, frame: Frame) -> str:
        value = hole.expression.evaluate(frame.context)
        try:
            return as_text(value)
        except ExpressionError as error:
            raise hole.fail(str(error)) from None


@dataclass(frozen=True, slots=True)
class Carried:
    """One argument or one variable: passed on as it is, so that nothing interprets it."""

    pieces: tuple[Piece, ...]

    def render(self, frame: Frame) -> str:
        """Return the text."""
        return "".join(
            piece if isinstance(piece, str) else carried(piece.expression.evaluate(frame.context), piece)
            for piece in self.pieces
        )


@dataclass(frozen=True, slots=True)
class Object:
    """A map with nodes for values."""

    items: tuple[tuple[str, Node], ...]

    def render(self, frame: Frame) -> dict[str, Any]:
        """Return the map."""
        return {key: node.render(frame) for key, node in self.items}


@dataclass(frozen=True, slots=True)
class Items:
    """A list of nodes."""

    items: tuple[Node, ...]

    def render(self, frame: Frame) -> list[Any]:
        """Return the list."""
        return [node.render(frame) for node in self.items]


class Compiler:
    """Compiles the values of one step and collects what it finds on the way."""

    def __init__(self, places: Mapping[str, Place], config: Mapping[str, Any]) -> None:
        """Compile by `places`, the places of the config's fields by dotted path."""
        self._places = {tuple(pattern.split(".")): place for pattern, place in places.items()}
        self._config = config
        self.problems: list[Problem] = []
        self.expressions: list[tuple[Spot, Expression]] = []
        self.secrets: list[str] = []

    def config(self) -> Node:
        """Return the whole config, compiled."""
        return self._value(self._config, ("config",))

    def env(self, env: Mapping[str, Any], path: Spot) -> Node:
        """Return a map of environment variables, compiled: it renders to texts."""
        items = tuple((name, self._variable(value, (*path, name))) for name, value in env.items())
        if all(isinstance(node, Constant) for _, node in items):
            return Constant({name: node.value for name, node in items if isinstance(node, Constant)})
        return Object(items)

    def note(self, path: Spot, expression: Expression) -> None:
        """Remember an expression and where it stands."""
        self.expressions.append((path, expression))
        if expression.is_raw:
            self.warn(path, f"{expression} pastes text that is then read as code: make sure of who can choose it")

    def error(self, path: Spot, message: str) -> None:
        """Add an error."""
        self.problems.append(Problem(path, "error", message))

    def warn(self, path: Spot, message: str) -> None:
        """Add a warning."""
        self.problems.append(Problem(path, "warning", message))

    def guard(self, path: Spot, work: Callable[[], T]) -> T | None:
        """Return what `work` gives; an ExpressionError becomes an error at `path`, and None is returned."""
        try:
            return work()
        except ExpressionError as error:
            self.error(path, str(error))
            return None

    def _value(self, value: Any, path: Spot) -> Node:  # noqa: PLR0911 - one return a kind of value
        """Return any value of the config, compiled by the place that its path has."""
        if not _has_marks(value):
            return Constant(value)
        place = self._place(path)
        match value:
            case Mapping():
                return Object(tuple((key, self._value(item, (*path, key))) for key, item in value.items()))
            case list() | tuple():
                if self._place((*path, 0)) == "argv" or place == "argv":
                    return self._argv(value, path)
                return Items(tuple(self._value(item, (*path, index)) for index, item in enumerate(value)))
            case str() if value.startswith(SCHEME) and OPENING not in value:
                self.secrets.append(value)
                return Secret(value)
        if place == "env":
            return self._variable(value, path)
        if place in {"sh", "powershell", "cmd", "argv"}:
            return self._script(value, path)
        pieces = self._pieces(value, path)
        match pieces:
            case None:
                return Constant(value)
            case (Hole() as hole,):
                return Typed(hole)
        return Text(pieces)

    def _place(self, path: Spot) -> Place | None:
        """Return the place of a config path, None for text."""
        keys = path[1:]
        for pattern, place in self._places.items():
            if len(pattern) == len(keys) and all(part in ("*", key) for part, key in zip(pattern, keys, strict=True)):
                return place
        return None

    def _pieces(self, text: str, path: Spot) -> tuple[Piece, ...] | None:
        """Return the pieces of `text` and note its expressions; None where it is wrong."""
        pieces = self.guard(path, lambda: split(text))
        for piece in pieces or ():
            if isinstance(piece, Hole):
                self.note(path, piece.expression)
        return pieces

    def _variable(self, value: Any, path: Spot) -> Node:
        """Return the value of an environment variable, compiled."""
        if not _has_marks(value):
            text = self.guard(path, lambda: as_text(value))
            return Constant("" if text is None else text)
        if isinstance(value, str) and value.startswith(SCHEME) and OPENING not in value:
            self.secrets.append(value)
            return Secret(value)
        if not isinstance(value, str):
            self.error(path, "an expression in a variable stands in a text: write it as one string")
            return Constant("")
        return Carried(self._pieces(value, path) or ())

    def _argv(self, items: list[Any] | tuple[Any, ...], path: Spot) -> Node:
        """Return a list of arguments, compiled."""
        nodes: list[Node] = []
        for index, item in enumerate(items):
            at = (*path, index)
            if not _has_marks(item):
                nodes.append(Constant(item))
            elif isinstance(item, str) and item.startswith(SCHEME) and OPENING not in item:
                self.secrets.append(item)
                nodes.append(Secret(item))
            elif isinstance(item, str):
                nodes.append(Carried(self._pieces(item, at) or ()))
            else:
                self.error(at, "an argument is a text")
                nodes.append(Constant(item))
        return Items(tuple(nodes))

    def _script(self, text: str, path: Spot) -> Node:
        """Return a script, compiled."""
        pieces = self._pieces(text, path) or ()
        for piece in pieces:
            if isinstance(piece, Hole):
                self.error(
                    path, f"{piece.expression}: line {piece.line}: pass it by `env` and use the variable in the script"
                )
        return Constant(text)


def _has_marks(value: Any) -> bool:
    """Say whether anything in `value` has to be rendered."""
    match value:
        case str():
            return OPENING in value or value.startswith(SCHEME)
        case Mapping():
            return any(_has_marks(item) for item in value.values())
        case list() | tuple():
            return any(_has_marks(item) for item in value)
    return False
