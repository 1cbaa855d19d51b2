"""Paths from a root into the values of a run, such as `steps.load.outputs.rows`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from windlass.errors import ExpressionError

#: Where every path begins.
ROOTS: Final = ("parameters", "steps", "run", "job", "matrix", "target", "env", "project")
#: What a path under `steps.NAME` may go on with.
STEP_FIELDS: Final = ("state", "outputs", "exitCode", "items")

_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    tuple: "a list",
}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class MissingValue(ExpressionError):
    """A path leads to a key that is not there; the only failure that `default` and `has` answer."""


@dataclass(frozen=True, slots=True)
class Path:
    """A root and the keys from there on, as they were written."""

    keys: tuple[str, ...]

    @property
    def root(self) -> str:
        """Return the root's name."""
        return self.keys[0]

    def __str__(self) -> str:
        """Return the path as one writes it in an expression."""
        return self.keys[0] + "".join(f".{key}" if _NAME.match(key) else f'["{key}"]' for key in self.keys[1:])

    def find(self, context: Mapping[str, Any]) -> Any:
        """Return the value in `context`; raises MissingValue with a sentence that names the first key not found."""
        value: Any = context
        for depth, key in enumerate(self.keys):
            if not isinstance(value, Mapping):
                raise MissingValue(f'{Path(self.keys[:depth])} is {kind_of(value)}, it has no "{key}"')
            if key in value:
                value = value[key]
                continue
            found = _under_other_spelling(value, key) if depth == 1 and self.root == "steps" else None
            if found is None:
                raise MissingValue(self._missing(depth))
            value = value[found]
        return value

    def _missing(self, depth: int) -> str:
        """Return the sentence for a key at `depth` that is not there."""
        if depth == 0:
            return f"there is no {self.root} here"
        there = f'{Path(self.keys[:depth])} has no "{self.keys[depth]}"'
        return f"{there}; where it may be missing, write default({self}, ...)"


def kind_of(value: Any) -> str:
    """Return what a JSON value is, with its article, for sentences."""
    if isinstance(value, Mapping):
        return "an object"
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def spelling(name: str) -> str:
    """Return what all spellings of a step's name have in common: `load_eu` is `load-eu`."""
    return name.replace("-", "_")


def _under_other_spelling(steps: Mapping[str, Any], name: str) -> str | None:
    """Return the key of `steps` that `name` spells with `_` for `-`, or None."""
    wanted = spelling(name)
    return next((key for key in steps if spelling(key) == wanted), None)
