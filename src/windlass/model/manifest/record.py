"""Mappings with known keys: the tables of a manifest's fields are made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.kinds import INVALID, Kind, Schema
from windlass.model.manifest.problem import Notes, Path

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One key that may be written in a mapping."""

    kind: Kind
    #: One sentence or less for the documentation.
    summary: str
    #: The name that canonical content has for it, where that is another one.
    name: str | None = None
    #: What is meant where nothing is written; canonical content leaves it out.
    default: Any = _MISSING

    @property
    def has_default(self) -> bool:
        """True where nothing written means something."""
        return self.default is not _MISSING


class Record(Kind):
    """A mapping with known keys."""

    words = "a mapping"

    def __init__(self, what: str, fields: Mapping[str, Field], *, required: tuple[str, ...] = ()) -> None:
        """Take `fields` by the key as written; `required` are canonical names that must be there.

        `what` names the mapping in sentences.
        """
        self.what = what
        self.fields = fields
        self.required = required
        self._table = {
            key: (field.name or key, field.kind.read, field.default, field.name is not None)
            for key, field in fields.items()
        }

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the canonical names and values of what could be read; defaults and nulls are left out."""
        if type(value) is not dict:
            return self.refuse(value, notes, path)
        table = self._table
        result: dict[str, Any] = {}
        for key, entry in value.items():
            field = table.get(key)
            if field is None:
                near = suggestion(key, self.fields)
                notes.error((*path, key), f'unknown key "{key}" in {self.what}{near}', "key")
            elif entry is not None:
                name, read, default, renamed = field
                found = read(entry, notes, (*path, key))
                if found is INVALID:
                    continue
                if (renamed or name in result) and result.get(name, default) != found:
                    self._say_twice(value, key, name, notes, path)
                if default is _MISSING or found != default or type(found) is not type(default):
                    result[name] = found
        for name in self.required:
            if name not in result:
                self._say_missing(value, name, notes, path)
        return result

    def _say_missing(self, value: Mapping[str, Any], name: str, notes: Notes, path: Path) -> None:
        """Note that a name is missing, unless something was written for it and refused, or is its default."""
        if all(value.get(key) is None for key in self.spellings(name)):
            notes.error(path, f'missing key "{name}" in {self.what}', "key")

    def _say_twice(self, value: Mapping[str, Any], key: str, name: str, notes: Notes, path: Path) -> None:
        """Note that `key` says another thing than an earlier key for the same name, if there is one."""
        other = self.other_spelling(value, key, name)
        if other is not None:
            message = f"{key} and {other} in {self.what} say the same thing differently; keep one"
            notes.error((*path, key), message, "key")

    def spellings(self, name: str) -> list[str]:
        """Return every key that stands for the canonical `name`."""
        return [key for key, field in self.fields.items() if (field.name or key) == name]

    def other_spelling(self, value: Mapping[str, Any], key: str, name: str) -> str | None:
        """Return another key of `value`, written before `key`, that stands for the same name."""
        for other in value:
            if other == key:
                return None
            if value[other] is not None and other in self._table and self._table[other][0] == name:
                return other
        return None

    def schema(self) -> Schema:
        """Return the schema of the mapping; every spelling is a property."""
        properties: Schema = {}
        for key, field in self.fields.items():
            own = field.kind.schema()
            own["description"] = field.summary
            if field.has_default and "default" not in own:
                own["default"] = field.default
            properties[key] = own
        schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
        needed: list[Schema] = []
        for name in self.required:
            keys = self.spellings(name)
            needed.append({"required": keys} if len(keys) == 1 else {"anyOf": [{"required": [key]} for key in keys]})
        if len(needed) == 1:
            schema.update(needed[0])
        elif needed:
            schema["allOf"] = needed
        return schema


class RecordBearer(Kind):
    """A kind that reads a mapping by a table of fields, and something else beside."""

    record: Record
