"""Writes docs/guide/settings.md from windlass.settings."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, Final

from windlass.settings import NOT_IN_FORCE, Settings

_INTRODUCTION: Final = """# Settings

Made by `make docs` from `src/windlass/settings.py`; change that, not this file. Each is a variable of the environment,
or a name in `windlass.toml` in the home: `WINDLASS_LEASE=30s` there is `lease = "30s"`. `windlass config` shows the
values and where they came from; [which goes before which](running.md#settings).

| variable | in the file | value | default | meaning |
|---|---|---|---|---|
"""
_LATER: Final = """
Those marked with * are read, and refused where they would have to be in force: what they are for lands later. Of
`WINDLASS_URL` that is so for addresses on a network; `unix:///FILE` is in force.
"""
#: Defaults that are found where the program runs.
_FOUND: Final = {
    "home": "~/.local/share/windlass",
    "database_url": "sqlite:///HOME/windlass.db",
    "worker_slots": "cores x 4",
}


def render() -> str:
    """Return the text of the document."""
    return _INTRODUCTION + "".join(_row(one) for one in fields(Settings)) + _LATER


def _row(setting: Field[Any]) -> str:
    said, name = setting.metadata, setting.name
    default = _FOUND.get(name, said.get("default"))
    shown = "" if default in {None, ""} else f"`{default}`"
    mark = "*" if name in NOT_IN_FORCE else ""
    kind = str(said["kind"].expected).replace("|", "\\|")
    return f"| `WINDLASS_{name.upper()}`{mark} | `{name}` | {kind} | {shown} | {said['description']} |\n"
