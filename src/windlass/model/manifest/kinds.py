"""Kinds of values in a manifest: each reads, checks and normalises, and knows its JSON Schema.

This is the one source for what a field may hold: reading a document and the schema for editors both come from it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from windlass.model.did_you_mean import suggestion
from windlass.model.durations import LONGEST, parse_duration, parse_size, whole
from windlass.model.manifest.problem import Notes, Path

Schema = dict[str, Any]


class _Invalid:
    """Stands for a value that was refused; the problem is noted."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()
_WORDS: Mapping[type, str] = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean", type(None): "nothing"}


def described(value: Any) -> str:
    """Return what a value is, in words: `a list`, `the number 5`, `"yes"`."""
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 else f'"{value[:40]}..."'  # noqa: PLR2004 - enough to recognise it
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return _WORDS.get(type(value), type(value).__name__)


def label(path: Path) -> str:
    """Return the name by which a sentence calls the value at `path`: its nearest key, with an index after it."""
    suffix = ""
    for part in reversed(path):
        if isinstance(part, str):
            return f"{part}{suffix}"
        suffix = f"[{part}]{suffix}"
    return suffix or "the document"


class Kind(ABC):
    """What a value may be."""

    #: The middle of the sentence `x must be ..., not ...`.
    words: str = ""

    @abstractmethod
    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the normalised value, or INVALID after noting why; `value` is never None."""

    @abstractmethod
    def schema(self) -> Schema:
        """Return the JSON Schema of what may be written."""

    def refuse(self, value: Any, notes: Notes, path: Path) -> Any:
        """Note that `value` is not of this kind."""
        notes.error(path, f"{label(path)} must be {self.words}, not {described(value)}")
        return INVALID


class Text(Kind):
    """A string; numbers are taken as their text where `scalars` says so."""

    def __init__(
        self, words: str = "text", *, pattern: str | None = None, empty: bool = False, longest: int | None = None
    ) -> None:
        """Describe the text in `words`; `pattern` is matched against all of it."""
        self.words = words
        self.pattern = re.compile(pattern) if pattern else None
        self.empty = empty
        self.longest = longest

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the string."""
        if type(value) is not str or not (value or self.empty):
            return self.refuse(value, notes, path)
        if self.pattern is not None and not self.pattern.fullmatch(value):
            return self.refuse(value, notes, path)
        if self.longest is not None and len(value) > self.longest:
            notes.error(path, f"{label(path)} has {len(value):,} characters, over the limit of {self.longest:,}")
            return INVALID
        return value

    def schema(self) -> Schema:
        """Return the schema of a string."""
        schema: Schema = {"type": "string"}
        if self.pattern is not None:
            schema["pattern"] = f"^(?:{self.pattern.pattern})$"
        elif not self.empty:
            schema["minLength"] = 1
        if self.longest is not None:
            schema["maxLength"] = self.longest
        return schema


class Flag(Kind):
    """true or false."""

    words = "true or false"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the boolean."""
        return value if type(value) is bool else self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of a boolean."""
        return {"type": "boolean"}


class Whole(Kind):
    """An integer within bounds."""

    def __init__(self, lowest: int, highest: int | None = None) -> None:
        """Take integers from `lowest` to `highest`, both included."""
        self.lowest = lowest
        self.highest = highest
        self.words = (
            f"an integer from {lowest} to {highest}" if highest is not None else f"an integer of at least {lowest}"
        )

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the integer; `5.0` is 5."""
        if type(value) is float:
            value = whole(value)
        if type(value) is not int or value < self.lowest or (self.highest is not None and value > self.highest):
            return self.refuse(value, notes, path)
        return value

    def schema(self) -> Schema:
        """Return the schema of an integer."""
        bounds = {"minimum": self.lowest} | ({"maximum": self.highest} if self.highest is not None else {})
        return {"type": "integer", **bounds}


class Duration(Kind):
    """Seconds, written as a number or like `1h30m`."""

    def __init__(self, *, zero: bool = False) -> None:
        """Take durations above zero, or `zero` too."""
        self.zero = zero
        self.words = "a duration such as 30s, 15m or 1h30m"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return seconds."""
        if type(value) is str:
            try:
                seconds = parse_duration(value)
            except ValueError:
                return self.refuse(value, notes, path)
        elif type(value) in (int, float) and 0 <= value <= LONGEST:
            seconds = whole(value)
        else:
            return self.refuse(value, notes, path)
        if seconds <= 0 and not self.zero:
            notes.error(path, f"{label(path)} must be longer than 0s")
            return INVALID
        return seconds

    def schema(self) -> Schema:
        """Return the schema of a duration."""
        number = {"type": "number", "minimum": 0, "maximum": LONGEST}
        if not self.zero:
            number["exclusiveMinimum"] = number.pop("minimum")
        pattern = r"^\s*(\d+(\.\d+)?|(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?(\d+ms)?)\s*$"
        return {"anyOf": [number, {"type": "string", "minLength": 1, "pattern": pattern}]}


class Size(Kind):
    """Bytes, written as a number or like `64MiB`."""

    words = "a size such as 64MiB"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return bytes."""
        if type(value) is str:
            try:
                return parse_size(value)
            except ValueError:
                return self.refuse(value, notes, path)
        return value if type(value) is int and value >= 0 else self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of a size."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)? ?([kKMGT]i?)?[bB]?\s*$"},
            ]
        }


class Choice(Kind):
    """One of several words; `others` are read as one of them."""

    def __init__(self, *words: str, others: Mapping[str, str] | None = None) -> None:
        """Take `words`, and the keys of `others` as their values."""
        self.choices = {word: word for word in words} | dict(others or {})
        self.words = f"one of {', '.join(words)}" if len(words) > 1 else words[0]
        self.own = words

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the word as we write it."""
        if type(value) is str:
            if value in self.choices:
                return self.choices[value]
            near = suggestion(value, self.own)
            notes.error(path, f'{label(path)} must be {self.words}, not "{value}"{near}')
            return INVALID
        return self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of the words."""
        return {"enum": list(self.choices)}


class Anything(Kind):
    """Any JSON value; somebody else looks at it."""

    def read(self, value: Any, notes: Notes, path: Path) -> Any:  # noqa: ARG002 - the contract's parameters
        """Return the value as it is."""
        return value

    def schema(self) -> Schema:
        """Return the schema that takes everything."""
        return {}


class AnyMapping(Kind):
    """A mapping with any content; somebody else looks at it."""

    words = "a mapping"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the mapping as it is."""
        return value if type(value) is dict else self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of an object."""
        return {"type": "object"}


class Listing(Kind):
    """A list of values of one kind; with `single` one value alone is a list of one."""

    def __init__(
        self, item: Kind, *, single: bool = False, unique: bool = False, least: int = 0, words: str = "a list"
    ) -> None:
        """Take lists of `item`, without repetitions where `unique`, of at least `least`."""
        self.item = item
        self.single = single
        self.unique = unique
        self.least = least
        self.words = words

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the list of what could be read."""
        if type(value) is not list:
            if not self.single or type(value) is dict:
                return self.refuse(value, notes, path)
            value = self.item.read(value, notes, path)
            return INVALID if value is INVALID else [value]
        if len(value) < self.least:
            notes.error(path, f"{label(path)} must have at least {self.least} entr{'y' if self.least == 1 else 'ies'}")
            return INVALID
        read = self.item.read
        result = []
        seen: set[Any] = set()
        for index, entry in enumerate(value):
            place = (*path, index)
            if entry is None:
                notes.error(place, f"{label(place)} is empty")
                continue
            found = read(entry, notes, place)
            if found is INVALID:
                continue
            if self.unique:
                if found in seen:
                    notes.error(place, f'{label(path)} names "{found}" twice')
                    continue
                seen.add(found)
            result.append(found)
        return result

    def schema(self) -> Schema:
        """Return the schema of the list."""
        item = self.item.schema()
        array: Schema = {"type": "array", "items": item}
        if self.unique:
            array["uniqueItems"] = True
        if self.least:
            array["minItems"] = self.least
        return {"anyOf": [item, array]} if self.single else array


class MapOf(Kind):
    """A mapping from free names to values of one kind."""

    def __init__(self, value: Kind, *, names: str | None = None, names_words: str = "a name") -> None:
        """Take mappings whose values are of kind `value` and whose keys match `names`."""
        self.value = value
        self.names = re.compile(names) if names else None
        self.names_words = names_words
        self.words = "a mapping"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the mapping of what could be read."""
        if type(value) is not dict:
            return self.refuse(value, notes, path)
        read = self.value.read
        result = {}
        for key, entry in value.items():
            place = (*path, key)
            if self.names is not None and not self.names.fullmatch(key):
                notes.error(place, f'"{key}" is not {self.names_words}', "key")
                continue
            if entry is None:
                notes.error(place, f'"{key}" in {label(path)} has no value; write "" for an empty text', "key")
                continue
            found = read(entry, notes, place)
            if found is not INVALID:
                result[key] = found
        return result

    def schema(self) -> Schema:
        """Return the schema of the mapping."""
        schema: Schema = {"type": "object", "additionalProperties": self.value.schema()}
        if self.names is not None:
            schema["propertyNames"] = {"pattern": f"^(?:{self.names.pattern})$"}
        return schema


class Scalar(Kind):
    """A text, number or boolean."""

    words = "text, a number or a boolean"

    def __init__(self, *, as_text: bool = False) -> None:
        """Take scalars; with `as_text` numbers and booleans become their text."""
        self.as_text = as_text

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the scalar."""
        if type(value) is str:
            return value
        if type(value) is bool:
            return ("true" if value else "false") if self.as_text else value
        if type(value) is float and self.as_text:
            message = f"{label(path)} is read as the number {value}; write it in quotes to keep it as it is written"
            notes.warning(path, message)
        if type(value) in (int, float):
            return str(whole(value)) if self.as_text else value
        return self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of a scalar."""
        return {"type": ["string", "number", "boolean"]}


class Either(Kind):
    """A value of one of several kinds, told apart by its type."""

    def __init__(self, words: str, **by_type: Kind) -> None:
        """Take a value by the name of its type: `str`, `int`, `float`, `bool`, `list`, `dict`."""
        self.words = words
        self.by_type = by_type

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return what the kind for this type makes of the value."""
        kind = self.by_type.get(type(value).__name__)
        return kind.read(value, notes, path) if kind else self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of all kinds together."""
        unique = {id(kind): kind for kind in self.by_type.values()}
        return {"anyOf": [kind.schema() for kind in unique.values()]}
