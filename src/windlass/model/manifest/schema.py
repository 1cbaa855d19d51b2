"""The JSON Schema of a job's manifest, for editors: made from the same tables that reading uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.job_fields import JOB
from windlass.model.manifest.kinds import Schema
from windlass.model.manifest.parameter_fields import PARAMETER

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION: Schema = {"$ref": "#/$defs/expression"}
_LIST_AS_TEXT: Schema = {"type": "string", "pattern": r"^\s*\[", "description": "a JSON list"}
#: What a step must have one of, to do anything.
_DOING = ("run", "command", "image", "uses", "type")


def job_schema(catalog: StepCatalog) -> Schema:
    """Return the schema (2020-12) of a document of kind Job, with the config of every step type in `catalog`."""
    schema = JOB.schema()
    schema["not"] = {"required": ["trigger", "triggers"]}
    step = schema["properties"]["steps"]["items"]
    schema["properties"]["steps"]["items"] = {"$ref": "#/$defs/step"}
    # A job that is made from a template needs no steps of its own, and lays parts of steps over those of the template.
    schema["allOf"].remove({"required": ["steps"]})
    doing = {"anyOf": [{"required": [name]} for name in _DOING]}
    schema["if"] = {"not": {"required": ["from"]}}
    schema["then"] = {"required": ["steps"], "properties": {"steps": {"items": doing}}}
    step["properties"]["type"] = {
        "description": step["properties"]["type"]["description"],
        "enum": [*catalog, "task"],
    }
    step["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": {"config": {"$ref": f"#/$defs/{name}"}}},
        }
        for name in catalog
    ]
    configs = {name: _config(spec.schema, spec.summary) for name, spec in catalog.items()}
    expression = {
        "type": "string",
        "pattern": r"\$\{\{",
        "description": "an expression",
    }
    return {
        "$schema": _DIALECT,
        "title": "Windlass job",
        **schema,
        "$defs": {
            "expression": expression,
            "parameterPart": PARAMETER.inner.record.schema(),
            "step": step,
            **configs,
        },
    }


def _config(schema: Mapping[str, Any], summary: str) -> Schema:
    """Return a step type's config schema for editors.

    An expression may stand for any value. What is required may also be written short beside `config`, so that only
    reading can tell that it is missing.
    """
    result = {key: value for key, value in schema.items() if key not in ("required", "oneOf")}
    result["description"] = summary
    result["properties"] = {name: _relaxed(value) for name, value in schema.get("properties", {}).items()}
    if "anyOf" in result["properties"].get("command", {}):
        result["properties"]["command"]["anyOf"].append(_LIST_AS_TEXT)
    return result


def _relaxed(schema: Mapping[str, Any]) -> Schema:
    """Return a schema that takes an expression for the value, and for every value inside of it."""
    result = dict(schema)
    if isinstance(result.get("properties"), Mapping):
        result["properties"] = {name: _relaxed(value) for name, value in result["properties"].items()}
    for part in ("items", "additionalProperties"):
        if isinstance(result.get(part), Mapping):
            result[part] = _relaxed(result[part])
    if _takes_any_text(result):
        return result
    description = result.pop("description", None)
    return {"anyOf": [result, _EXPRESSION]} | ({"description": description} if description else {})


def _takes_any_text(schema: Mapping[str, Any]) -> bool:
    """Say whether every expression is valid as it is."""
    kinds = schema.get("type", "string" if "enum" not in schema else "")
    return "string" in kinds and not {"enum", "pattern", "format", "const"} & schema.keys()
