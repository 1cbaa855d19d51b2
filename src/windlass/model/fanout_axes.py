"""Values of matrix axes that are written as expressions over a run's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from windlass.errors import UserError
from windlass.model.template import Hole, split


def axis_values(parameters: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a function that gives the value of an axis written as one expression.

    It raises ExpressionError where the expression has none, UserError where the text is no expression.
    """

    def evaluate(text: str) -> Any:
        match split(text.strip()):
            case (Hole(expression=expression),):
                return expression.evaluate({"parameters": parameters})
        raise UserError(f"matrix: {text!r} is neither a list nor one expression that gives a list.")

    return evaluate
