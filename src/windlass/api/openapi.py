"""The description of the API (OpenAPI 3.1), made from the route table."""

from __future__ import annotations

import re
from typing import Any, Final

from windlass.api.message import JSON
from windlass.api.problem import MEDIA
from windlass.api.query import Query
from windlass.api.table import Route, RouteTable

_TYPES: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "string"},
    "project": {"type": "string"},
    "projects": {"type": "string"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
}
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "findings": {"type": "array", "items": {"type": "object"}},
        "errorId": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}


def describe(table: RouteTable, version: str) -> dict[str, Any]:
    """Return the description of all routes."""
    paths: dict[str, Any] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Windlass", "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "responses": {
                "Problem": {
                    "description": "what is wrong, as a problem document (RFC 9457)",
                    "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    names = re.findall(r"\{([a-z_]+)\}", route.path)
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub('[^A-Za-z0-9]+', '_', route.path.removeprefix('/api/v1'))}",
        "summary": route.summary,
        "x-permission": route.permission,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names),
            *map(_parameter, route.query),
        ],
        "responses": {
            "2XX": {"description": "done", "content": {route.answers: {}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if route.body is not None:
        content = {media: {"schema": route.body.schema if media == JSON else {}} for media in route.body.media}
        operation["requestBody"] = {"content": content}
    return operation


def _parameter(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_TYPES.get(query.type, {}))
    if query.type == "integer":
        schema |= {"minimum": query.lowest, "maximum": query.highest}
    if query.type == "texts":
        schema = {"type": "array", "items": {"type": "string"} | ({"enum": query.choices} if query.choices else {})}
    elif query.choices:
        schema["enum"] = query.choices
    if query.default is not None:
        schema["default"] = query.default
    found = {"name": query.name, "in": "query", "description": query.description, "schema": schema}
    return found | ({"required": True} if query.required else {})
