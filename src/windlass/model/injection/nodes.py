"""Compiled values: what gives a step's config and `env` on the values of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from windlass.errors import ExpressionError
from windlass.model.template import MAX_CARRIED, Hole, Piece, as_text, carried, check_carried


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
    #: Whether it goes into a variable or an argument, which cannot hold everything.
    is_carried: bool

    def render(self, frame: Frame) -> str:
        """Return what it was resolved to."""
        value = frame.secrets.get(self.reference)
        if value is None:
            raise ExpressionError(f"{self.reference}: the secret was not resolved")
        if self.is_carried and ("\0" in value or len(value.encode(errors="replace")) > MAX_CARRIED):
            raise ExpressionError(f"{self.reference}: the secret has a NUL character or is too long for a variable")
        return value


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
        text, last = "", None
        for piece in self.pieces:
            if isinstance(piece, str):
                text += piece
            else:
                text += carried(piece.expression.evaluate(frame.context), piece)
                last = piece
        if last is not None and len(self.pieces) > 1:
            check_carried(text, last)
        return text


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
