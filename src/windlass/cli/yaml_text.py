"""JSON values as YAML that every reader takes for the same values."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from windlass.model.manifest.scalars import BadScalar, resolve

#: Line ends that only YAML 1.1 knows, and what a terminal acts on: only an escape says them for sure.
_ESCAPED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that one version of YAML or another would read as something else."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _ESCAPED.search(text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _is_text(text) else "'")


def _is_text(text: str) -> bool:
    """Say whether YAML 1.2 reads a plain scalar as text."""
    try:
        return isinstance(resolve(text), str)
    except BadScalar:
        return False


_Dumper.add_representer(str, _text)


def dumped(value: Any) -> str:
    """Return the YAML of a JSON value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
