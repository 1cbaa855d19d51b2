"""Canonical content as YAML for people; loading it again gives the same digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from windlass.model.definition import PRIORITIES
from windlass.model.durations import duration_text, parse_duration
from windlass.model.manifest.job_fields import JOB_FIELDS
from windlass.model.manifest.step_fields import STEP_FIELDS

_DURATIONS = frozenset({"timeout", "delay", "maxDelay", "window", "duration", "ttl", "digestTTL", "maxTimestampAge"})
#: Mappings whose content is the user's own: nothing in them is a duration of ours.
_FREE = frozenset({"config", "env", "labels", "annotations", "parameters", "matrix", "headers", "defaultParams"})
_TOP = tuple(JOB_FIELDS)
_STEP = ("name", "type", "config", *STEP_FIELDS)
#: Plain words that the core schema of YAML 1.2, or an older reader, takes for something else than text.
_NOT_TEXT = re.compile(
    r"~|null|Null|NULL|true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|y|Y|n|N|=|<<"
    r"|[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?0[oxb][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|"
)


class _Dumper(yaml.SafeDumper):
    """Writes block style, with the resolver of the core schema."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's contract
        """Write everything out: an alias would count towards a limit."""
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    """Return a text: several lines as a block, whatever might be taken for something else in quotes."""
    style = None
    if _NOT_TEXT.fullmatch(data) or not data.replace("\n", "").isprintable():
        style = '"'
    elif "\n" in data:
        style = '"' if data.startswith((" ", "\n")) or "\n" not in data.rstrip("\n") else "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.yaml_implicit_resolvers = {}
_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"null\Z"), ["n"])
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), ["t", "f"])
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789"))
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"),
    list("-+.0123456789"),
)


def to_yaml(canonical: Mapping[str, Any]) -> str:
    """Return canonical content as YAML: times with their units, priorities by name where they have one."""
    content = _ordered(_readable(canonical), _TOP)
    content["steps"] = [_ordered(step, _STEP) for step in content["steps"]]
    names = {points: name for name, points in PRIORITIES.items()}
    if content.get("priority") in names:
        content["priority"] = names[content["priority"]]
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
    return text


def _ordered(value: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    """Return a mapping with its keys in the order of the tables that reading uses."""
    return {key: value[key] for key in order if key in value} | dict(value)


def _readable(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with durations as people write them."""
    result: dict[str, Any] = {}
    for key, entry in value.items():
        if key in _DURATIONS and isinstance(entry, (int, float)) and not isinstance(entry, bool):
            text = duration_text(entry)
            result[key] = text if parse_duration(text) == entry else entry
        elif key in _FREE:
            result[key] = entry
        elif isinstance(entry, Mapping):
            result[key] = _readable(entry)
        elif isinstance(entry, (list, tuple)):
            result[key] = [_readable(one) if isinstance(one, Mapping) else one for one in entry]
        else:
            result[key] = entry
    return result
