"""JSON manifests: read as JSON, with the same refusals as YAML."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from windlass.model.manifest.events import Parsed
from windlass.model.manifest.limits import Limits

#: What only the positioned parser judges: long numbers (orjson makes floats of them), and NUL characters.
_UNSURE = re.compile(r"[0-9]{17}|\\u0000")
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class _Duplicate(Exception):
    """A key stands twice in one object."""


def parse_json(text: str, limits: Limits) -> Parsed | None:
    """Return the document of a text that is JSON and breaks no rule; None leaves it to the positioned parser."""
    if text.lstrip()[:1] not in ("{", "[") or _UNSURE.search(text):
        return None
    try:
        value = orjson.loads(text)
        if not is_within(value, limits):
            return None
        json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, _Duplicate):
        return None
    return Parsed([value], [(1, 1)])


def as_yaml(text: str) -> str:
    """Return JSON in the form that the positioned parser reads, every character in its place or one before it."""
    return _SURROGATES.sub(_joined, text).replace("\t", " ")


def _joined(match: re.Match[str]) -> str:
    """Return the character of a surrogate pair, as YAML escapes it."""
    high, low = (int(half, 16) for half in match.groups())
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


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
