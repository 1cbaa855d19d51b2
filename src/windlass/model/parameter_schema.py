"""Schemas of parameters as validators: formats are checked, patterns run in linear time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from windlass.model.durations import parse_duration

#: Keys of a parameter that JSON Schema does not have, or has with another meaning.
_OURS = ("secret", "required", "default", "examples", "title", "description")
#: RFC 3339, appendix A: weeks stand alone, and what follows the T is not empty.
_ISO = re.compile(
    r"P(?:[0-9]+W|(?=[0-9]|T[0-9])(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?"
    r"(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?)",
    re.ASCII,
)
#: Memory that one compiled pattern may take.
_PATTERN_BYTES = 1024 * 1024


class BadPattern(ValueError):
    """A pattern that the linear-time engine cannot run; the text is the sentence."""


def checked_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a parameter's schema that a validator checks."""
    result = {key: value for key, value in schema.items() if key not in _OURS}
    if isinstance(schema.get("required"), list):
        result["required"] = schema["required"]
    return result


def validator(schema: Mapping[str, Any]) -> Any:
    """Return a validator of `schema` with `is_valid(value)` and `iter_errors(value)`.

    Raises BadPattern where a pattern cannot be run in time linear to the text: look-around and back-references.
    """
    import jsonschema_rs  # noqa: PLC0415 - costs start-up time of commands that check nothing

    try:
        return jsonschema_rs.Draft202012Validator(
            dict(schema),
            validate_formats=True,
            formats={"file": _is_file, "duration": is_duration},
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        )
    except ValueError as error:
        raise BadPattern(_pattern_sentence(schema, error)) from error


def _is_file(value: str) -> bool:
    """Say whether a text can be the path of a file."""
    return bool(value) and "\0" not in value and not value.endswith("/")


def is_duration(value: str) -> bool:
    """Say whether a text is a duration as people write it here (`90s`, `1h30m`) or as ISO 8601 does (`PT1H30M`)."""
    if _ISO.fullmatch(value):
        return True
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True


def _pattern_sentence(schema: Mapping[str, Any], error: ValueError) -> str:
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and re.search(r"\(\?(?:[=!]|<[=!])|\\[1-9]|\(\?P=|\\k", pattern):
        return "the pattern uses look-around or back-references, which cannot be checked in linear time"
    first = str(error).splitlines()[0] if str(error) else "it is not understood"
    return f"the pattern is no regular expression: {first[:120]}"
