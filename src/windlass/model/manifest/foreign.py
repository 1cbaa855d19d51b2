"""Jobs of other systems, read as ours: `{name, steps}`, and jobs that are one Ansible playbook."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.model.manifest.problem import Notes, Path

_PLAYBOOK = ("playbook", "inventory", "variables")
_STEP: Path = ("steps", 0, "config")


@dataclass(frozen=True, slots=True)
class Translated:
    """A document as ours, and where its parts stood before."""

    document: dict[str, Any]
    moved: Mapping[Path, Path]

    def original(self, path: Path) -> Path:
        """Return where what is at `path` of the new document stood in the old one."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.moved:
                return (*self.moved[path[:length]], *path[length:])
        return path


def translated(content: Mapping[str, Any], notes: Notes) -> Translated | None:
    """Return a job of another system as a manifest; None where `content` is none that is known.

    What changes its meaning on the way is noted.
    """
    if not isinstance(content.get("name"), str) or not content.keys().isdisjoint({"apiVersion", "kind", "metadata"}):
        return None
    if "steps" in content:
        return _with_steps(content)
    return _of_playbook(content, notes) if "playbook" in content else None


def alias_of(title: str) -> str:
    """Return an alias made of free text: `Nightly ETL (EU)` is `nightly-etl-eu`."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].rstrip("-") or "job"


def _head(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both forms share: who the job is."""
    title = content["name"]
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias_of(title)}}
    if title != document["metadata"]["alias"]:
        document["metadata"]["title"] = title
    return document


def _with_steps(content: Mapping[str, Any]) -> Translated:
    rest = {key: value for key, value in content.items() if key != "name"}
    return Translated({**_head(content), **rest}, {("metadata",): ("name",)})


def _of_playbook(content: Mapping[str, Any], notes: Notes) -> Translated:
    """Return a job of one step; a timeout counts minutes there, and tags are labels."""
    document = _head(content)
    moved: dict[Path, Path] = {("metadata",): ("name",), ("steps",): ("playbook",)}
    config = {}
    for name in _PLAYBOOK:
        if name in content:
            config[name] = content[name]
            moved[*_STEP, name] = (name,)
    for name, value in content.items():
        if name in ("name", *_PLAYBOOK):
            continue
        if name == "tags" and isinstance(value, list) and all(isinstance(tag, str) for tag in value):
            document["metadata"]["labels"] = dict.fromkeys(value, "true")
        elif name == "timeout" and type(value) is int:
            document["timeout"] = value * 60
            notes.warning(("timeout",), f"timeout: {value} is read as minutes here; write {value}m to say so")
        else:
            document[name] = value
    document["steps"] = [{"name": "playbook", "type": "ansible.playbook", "config": config}]
    return Translated(document, moved)
