"""The reference of manifests as Markdown: made from the same tables that reading uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.model.catalog import StepCatalog
from windlass.model.durations import duration_text
from windlass.model.manifest.job_fields import JOB
from windlass.model.manifest.kinds import Either, Kind, Listing, MapOf
from windlass.model.manifest.record import Record, RecordBearer
from windlass.model.manifest.trigger_fields import CONFIGURATIONS


def schema_markdown(catalog: StepCatalog) -> str:
    """Return the reference of every field of a job's manifest and of the config of every step type in `catalog`."""
    lines = ["# Job manifests", "", "Every field, in the order in which it may be written.", ""]
    seen: set[int] = set()
    for title, record in _records("Job", JOB, seen):
        lines += _table(title, record)
    for name, record in CONFIGURATIONS.items():
        lines += _table(f"configuration of a `{name}` trigger", record)
    lines += ["# Step types", ""]
    for name, spec in catalog.items():
        lines += [f"## `{name}`", "", spec.summary + ("" if spec.in_force else " Not yet in force."), ""]
        lines += _config_table(spec.schema)
    return "\n".join(lines).rstrip() + "\n"


def _records(title: str, kind: Kind, seen: set[int]) -> Iterator[tuple[str, Record]]:
    """Yield every record that `kind` leads to, once."""
    if isinstance(kind, Record):
        if id(kind) not in seen:
            seen.add(id(kind))
            yield title, kind
            for key, field in kind.fields.items():
                yield from _records(f"`{key}`", field.kind, seen)
        return
    if isinstance(kind, RecordBearer):
        yield from _records(title, kind.record, seen)
    elif isinstance(kind, Listing):
        yield from _records(f"each of {title}", kind.item, seen)
    elif isinstance(kind, MapOf):
        yield from _records(f"each of {title}", kind.value, seen)
    elif isinstance(kind, Either):
        for one in kind.by_type.values():
            yield from _records(title, one, seen)


def _table(title: str, record: Record) -> list[str]:
    lines = [f"## {title}", "", "| key | value | meaning |", "|---|---|---|"]
    for key, field in record.fields.items():
        meaning = field.summary
        if field.name is not None:
            meaning = f"the same as `{field.name}`"
        elif key in record.required:
            meaning += "; required"
        if field.has_default and field.default not in (False, None, ""):
            meaning += f"; default `{_shown(key, field.default)}`"
        lines.append(f"| `{key}` | {_cell(field.kind.words)} | {_cell(meaning)} |")
    return [*lines, ""]


def _config_table(schema: Mapping[str, Any]) -> list[str]:
    lines = ["| key | value | meaning |", "|---|---|---|"]
    required = set(schema.get("required", ()))
    one_of = [name for option in schema.get("oneOf", ()) for name in option["required"]]
    for name, value in schema.get("properties", {}).items():
        meaning = value.get("description", "")
        if name in required:
            meaning += "; required"
        elif name in one_of:
            meaning += f"; exactly one of {', '.join(f'`{one}`' for one in one_of)}"
        if value.get("default") not in (None, False):
            meaning += f"; default `{value['default']}`"
        lines.append(f"| `{name}` | {_cell(_value(value))} | {_cell(meaning.removeprefix('; '))} |")
    return [*lines, ""]


_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _value(schema: Mapping[str, Any]) -> str:
    """Return what a config field holds, in words."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if schema.get("x-unit") == "seconds":
        return "a duration such as 15m"
    if schema.get("x-unit") == "bytes":
        return "a size such as 64MiB"
    kinds = schema.get("type", "anything")
    if isinstance(kinds, str):
        kinds = [kinds]
    words = " or ".join(_TYPES.get(kind, kind) for kind in kinds)
    if "properties" in schema:
        words += " with " + ", ".join(schema["properties"])
    return words


def _shown(key: str, value: Any) -> str:
    """Return a default as people write it."""
    if key == "ttl":
        return duration_text(value)
    return "true" if value is True else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
