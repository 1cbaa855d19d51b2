"""JSON bodies against the schemas that routes declare."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from windlass.errors import UserError
from windlass.model.manifest.schema_sentence import complaints


def check_body(schema: Mapping[str, Any], value: dict[str, Any]) -> None:
    """Raise UserError that names every field of `value` that is unknown, missing or wrong."""
    check = _validator(orjson.dumps(schema))
    if check.is_valid(value):
        return
    found = [sentence for _, sentence, _ in complaints(check, value, schema, "body")]
    raise UserError("\n".join(f"In the request: {sentence}." for sentence in found) or "The body is not valid.")


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Draft202012Validator:
    return Draft202012Validator(orjson.loads(schema))
