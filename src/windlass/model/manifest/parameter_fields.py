"""The schema of one parameter: the part of JSON Schema that manifests may use, with `secret` and `required` on top."""

from __future__ import annotations

from typing import Any

from windlass.model.manifest.kinds import (
    Anything,
    Choice,
    Either,
    Flag,
    Kind,
    Listing,
    MapOf,
    Schema,
    Text,
    Whole,
)
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.record import Field, Record, RecordBearer
from windlass.model.manifest.words import FLAG, LONG_TEXT, TEXT

TYPES = ("string", "integer", "number", "boolean", "array", "object")
FORMATS = ("date", "date-time", "time", "duration", "email", "uri", "uuid", "hostname", "ipv4", "ipv6", "file")
#: Where the schema of manifests keeps the schema of a part of a parameter.
PART_REFERENCE = "#/$defs/parameterPart"


class Number(Kind):
    """Any number."""

    words = "a number"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the number."""
        return value if type(value) in (int, float) else self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of a number."""
        return {"type": "number"}


class ParameterSchema(RecordBearer):
    """The schema of a parameter, or with `part` the schema of a part of one."""

    words = "a mapping such as {type: string}"

    def __init__(self, *, part: bool) -> None:
        """Describe a parameter; a part has no `secret`, and `required` names its keys."""
        self.part = part
        self.inner = self if part else ParameterSchema(part=True)
        own = {
            "required": Field(
                Either("true, false, or the keys that a mapping must have", bool=Flag(), list=Listing(Text())),
                "true: a run must be given it",
                default=False,
            ),
            "secret": Field(FLAG, "whether its value is a secret", default=False),
        }
        fields = {
            "type": Field(Choice(*TYPES), "what it is; a string unless said"),
            **({"required": Field(Listing(Text()), "keys that must be there")} if part else own),
            "title": Field(TEXT, "a name for people"),
            "description": Field(LONG_TEXT, "what it is for"),
            "default": Field(Anything(), "what is taken where nothing is given"),
            "enum": Field(Listing(Anything(), least=1), "the values that it may have"),
            "pattern": Field(TEXT, "a regular expression that a text must match somewhere; it runs in linear time"),
            "format": Field(Choice(*FORMATS), "the form of a text"),
            "minimum": Field(Number(), "the least value"),
            "maximum": Field(Number(), "the greatest value"),
            "exclusiveMinimum": Field(Number(), "the value must be greater"),
            "exclusiveMaximum": Field(Number(), "the value must be less"),
            "multipleOf": Field(Number(), "the value must be a multiple"),
            "minLength": Field(Whole(0), "characters at least"),
            "maxLength": Field(Whole(0), "characters at most"),
            "minItems": Field(Whole(0), "entries at least"),
            "maxItems": Field(Whole(0), "entries at most"),
            "uniqueItems": Field(FLAG, "whether entries must differ"),
            "items": Field(self.inner, "what each entry is"),
            "properties": Field(MapOf(self.inner), "what each key holds"),
            "additionalProperties": Field(FLAG, "whether other keys are allowed"),
            "examples": Field(Listing(Anything()), "examples"),
        }
        self.record = Record("the schema" if part else "the parameter", fields)

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the schema with its type written out."""
        if type(value) is not dict:
            return self.refuse(value, notes, path)
        if "default" in value and value["default"] is None:
            notes.error((*path, "default"), "default has no value; leave it out, or say required: true")
        result = self.record.read(value, notes, path)
        return {"type": "string", **result} if "type" not in result and "type" not in value else result

    def schema(self) -> Schema:
        """Return the schema of such a schema; that of a part stands under `$defs`."""
        return {"$ref": PART_REFERENCE} if self.part else self.record.schema()


PARAMETER = ParameterSchema(part=False)
