"""A script whose expressions are safe where they stand, in whatever language it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from windlass.model.injection.literals import pasted
from windlass.model.injection.nodes import Frame
from windlass.model.template import Hole


class Referring(Protocol):
    """An expression of a script that becomes a reference to a variable, or a literal."""

    def render(self, frame: Frame) -> str:
        """Return what stands in its place; raises ExpressionError."""
        ...


Reference = TypeVar("Reference", bound=Referring)


@dataclass(frozen=True, slots=True)
class Script(Generic[Reference]):
    """The texts of a script, its references, and the holes that `raw()` pastes into."""

    parts: tuple[str | Hole | Reference, ...]

    def render(self, frame: Frame) -> str:
        """Return the script; raises ExpressionError."""
        return "".join(
            part
            if isinstance(part, str)
            else pasted(part.expression.evaluate(frame.context), part)
            if isinstance(part, Hole)
            else part.render(frame)
            for part in self.parts
        )
