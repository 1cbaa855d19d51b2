"""Kinds of values that several tables of fields share."""

from __future__ import annotations

import json
from typing import Any

from windlass.model.definition import PRIORITIES
from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.kinds import (
    INVALID,
    AnyMapping,
    Choice,
    Duration,
    Flag,
    Kind,
    Listing,
    MapOf,
    Scalar,
    Schema,
    Text,
    Whole,
    label,
)
from windlass.model.manifest.problem import Notes, Path

ALIAS_PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"
ALIAS = Text(
    "1 to 63 small letters, digits, - or _, the first a letter or digit (such as nightly-etl)", pattern=ALIAS_PATTERN
)
RESOURCE = Text(
    "1 to 128 letters, digits, _, ., :, / or -, the first a letter or digit (such as orders-api)",
    pattern=r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}",
)
STEP_NAME = Text(
    "1 to 63 letters, digits, -, _ or ., the first a letter or digit (such as load-eu)",
    pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}",
)
VARIABLE_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
LABELS = MapOf(Scalar(as_text=True))
ENV = MapOf(
    Scalar(as_text=True),
    names=VARIABLE_PATTERN,
    names_words="the name of a variable (letters, digits and _, no digit first)",
)
VALUES = MapOf(Scalar(as_text=True))
FLAG = Flag()
TEXT = Text()
LONG_TEXT = Text(empty=True)
DURATION = Duration()
DELAY = Duration(zero=True)
MAPPING = AnyMapping()
COUNT = Whole(1)
#: Most units of a limited resource that a manifest can name.
MOST_UNITS = 1_000_000_000
UNITS = Whole(1, MOST_UNITS)
STEP_NAMES = Listing(STEP_NAME, single=True, unique=True, words="the name of a step, or a list of names")
TRIGGER_RULE = Choice("all_success", "none_failed", "one_success", "all_failed", "all_done", "always")
FINAL_STATE = Choice(
    "completed", "failed", "cancelled", "timeout", others={"succeeded": "completed", "canceled": "cancelled"}
)


class Priority(Kind):
    """A named priority, or points from 1 to 15."""

    words = f"one of {', '.join(PRIORITIES)}, or an integer from 1 to 15"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return points."""
        if type(value) is int and 1 <= value <= 15:  # noqa: PLR2004 - the scale of priorities
            return value
        if type(value) is str:
            if value in PRIORITIES:
                return PRIORITIES[value]
            notes.error(path, f'{label(path)} must be {self.words}, not "{value}"{suggestion(value, PRIORITIES)}')
            return INVALID
        return self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of a priority."""
        return {"anyOf": [{"enum": list(PRIORITIES)}, {"type": "integer", "minimum": 1, "maximum": 15}]}


class Command(Kind):
    """A script as text, or a program with its arguments; text that is a JSON list is that list."""

    words = "text or a list of arguments"
    _arguments = Listing(Scalar(as_text=True), least=1)

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return text or a list of texts."""
        if type(value) is str:
            if value.lstrip()[:1] == "[":
                try:
                    found = json.loads(value)
                except (ValueError, RecursionError):
                    found = None
                if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
                    return found
            return value if value.strip() else self.refuse(value, notes, path)
        return self._arguments.read(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of a command."""
        return {"anyOf": [{"type": "string", "pattern": r"\S"}, self._arguments.schema()]}


class Condition(Kind):
    """An expression that says whether a step runs, with or without its `${{ }}`."""

    words = "an expression such as ${{ parameters.full }}, true or false"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return `${{ expression }}`, or True where the step always runs."""
        if type(value) is bool:
            return True if value else "${{ false }}"
        if type(value) is not str or not value.strip():
            return self.refuse(value, notes, path)
        text = value.strip()
        inner = text[3:-2].strip() if text.startswith("${{") and text.endswith("}}") else text
        if "${{" in inner:
            notes.error(path, f"{label(path)} must be one expression: put all of it into one ${{{{ }}}}")
            return INVALID
        return f"${{{{ {inner} }}}}"

    def schema(self) -> Schema:
        """Return the schema of a condition."""
        return {"type": ["string", "boolean"], "pattern": r"\S"}
