"""JSON manifests: read as JSON, with the same refusals as YAML."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from windlass.model.manifest.events import Parsed, parse
from windlass.model.manifest.limits import Limits

#: What only the positioned parser judges: long numbers (orjson makes floats of them), and NUL characters.
_UNSURE = re.compile(r"[0-9]{17}|\\u0000")
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


#: Characters that JSON has in strings and YAML only by their escapes.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class _Duplicate(Exception):
    """A key stands twice in one object."""


def parse_json(text: str, limits: Limits) -> Parsed | None:
    """Return the document of a text that is JSON, or None where it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    if _UNSURE.search(text) or not is_within(value, limits) or _has_duplicates(text):
        return parse(as_yaml(text), limits)  # which says what is wrong, and where
    return Parsed([value], [(1, 1)])


def as_yaml(text: str) -> str:
    """Return JSON in the form that the positioned parser reads; only columns right of an unusual character move."""
    text = _SURROGATES.sub(_joined, text).replace("\t", " ")
    return text if text.isascii() and "\x7f" not in text else _NOT_IN_YAML.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04X}"


def _joined(match: re.Match[str]) -> str:
    """Return the character of a surrogate pair, as YAML escapes it."""
    high, low = (int(half, 16) for half in match.groups())
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


def _has_duplicates(text: str) -> bool:
    """Say whether a key stands twice in one object."""
    try:
        json.loads(text, object_pairs_hook=_without_duplicates)
    except _Duplicate:
        return True
    return False


def _without_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Duplicate


def is_within(value: Any, limits: Limits) -> bool:
    """Say whether a value keeps the limits on depth and number of values, without recursion."""
    nodes = 1
    level = [value]
    for _ in range(limits.depth + 1):
        level = [one for one in level if isinstance(one, (dict, list))]
        if not level:
            return True
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                nodes += len(one)
                below.extend(one.values())
            else:
                below.extend(one)
        nodes += len(below)
        if nodes > limits.nodes:
            return False
        level = below
    return False
